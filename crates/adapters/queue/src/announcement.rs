//! [`Announcement`]: what processes tell each other, and its text.

use std::fmt;
use std::str::FromStr;

use onering_ids::SubscriptionId;
use onering_keys::TokenDigest;

/// Something changed in Postgres; whoever caches it is to read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announcement {
    /// The key behind this token digest.
    Key(TokenDigest),
    /// Any number of keys.
    Keys,
    /// One subscription.
    Subscription(SubscriptionId),
    /// Any number of subscriptions.
    Subscriptions,
    /// The blocklist.
    Blocklist,
    /// The runtime overrides of the switches.
    Flags,
    /// Anything: told by nobody when listening begins and after each gap in it, in which all the others may have been
    /// missed. It may be announced as well, to make every process forget what it cached.
    Reconnected,
}

/// The text is none that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an announcement known to this version")]
pub struct UnknownAnnouncement;

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(digest) => write!(formatter, "key {digest}"),
            Self::Keys => formatter.write_str("keys"),
            Self::Subscription(id) => write!(formatter, "subscription {id}"),
            Self::Subscriptions => formatter.write_str("subscriptions"),
            Self::Blocklist => formatter.write_str("blocklist"),
            Self::Flags => formatter.write_str("flags"),
            Self::Reconnected => formatter.write_str("everything"),
        }
    }
}

impl FromStr for Announcement {
    type Err = UnknownAnnouncement;

    fn from_str(text: &str) -> Result<Self, UnknownAnnouncement> {
        match text.split_once(' ') {
            Some(("key", digest)) => digest.parse().map(Self::Key).map_err(|_| UnknownAnnouncement),
            Some(("subscription", id)) => id.parse().map(Self::Subscription).map_err(|_| UnknownAnnouncement),
            Some(_) => Err(UnknownAnnouncement),
            None => match text {
                "keys" => Ok(Self::Keys),
                "subscriptions" => Ok(Self::Subscriptions),
                "blocklist" => Ok(Self::Blocklist),
                "flags" => Ok(Self::Flags),
                "everything" => Ok(Self::Reconnected),
                _ => Err(UnknownAnnouncement),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_has_the_text_the_other_versions_know() {
        let digest = TokenDigest::from_bytes([0xab; 32]);
        let subscription = SubscriptionId::floor(1_700_000_000_000);
        let texts = [
            (Announcement::Key(digest), format!("key {}", "ab".repeat(32))),
            (Announcement::Keys, "keys".to_owned()),
            (Announcement::Subscription(subscription), format!("subscription {subscription}")),
            (Announcement::Subscriptions, "subscriptions".to_owned()),
            (Announcement::Blocklist, "blocklist".to_owned()),
            (Announcement::Flags, "flags".to_owned()),
            (Announcement::Reconnected, "everything".to_owned()),
        ];
        for (announcement, text) in texts {
            assert_eq!(announcement.to_string(), text);
            assert_eq!(text.parse(), Ok(announcement));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}", tail in ".{0,70}") {
            let _ = text.parse::<Announcement>();
            let _ = format!("key {tail}").parse::<Announcement>();
            let _ = format!("subscription {tail}").parse::<Announcement>();
        }
    }
}
