use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::IdError;
use crate::owner::OwnerId;
use crate::text;

const EVERYONE: &str = "*";

/// Whose subscriptions an event may match. Text form: the partner's name, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    /// One partner.
    Partner(OwnerId),
    /// All partners.
    Everyone,
}

impl Recipient {
    /// The text form, as rows and JSON hold it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Partner(owner) => owner.as_str(),
            Self::Everyone => EVERYONE,
        }
    }

    /// Whether events for this recipient are for `owner` too.
    #[must_use]
    pub fn includes(&self, owner: &OwnerId) -> bool {
        match self {
            Self::Partner(partner) => partner == owner,
            Self::Everyone => true,
        }
    }
}

impl From<OwnerId> for Recipient {
    fn from(owner: OwnerId) -> Self {
        Self::Partner(owner)
    }
}

impl FromStr for Recipient {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == EVERYONE { Ok(Self::Everyone) } else { text.parse().map(Self::Partner) }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "an owner_id or \"*\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_everyone_and_a_name_one_partner() {
        let acme: OwnerId = "acme".parse().unwrap();
        let partner: Recipient = serde_json::from_str("\"acme\"").unwrap();
        let everyone: Recipient = serde_json::from_str("\"*\"").unwrap();
        assert_eq!(partner, Recipient::Partner(acme.clone()));
        assert_eq!(everyone, Recipient::Everyone);
        assert_eq!((partner.to_string(), everyone.to_string()), ("acme".to_owned(), "*".to_owned()));
        assert!(partner.includes(&acme) && everyone.includes(&acme));
        assert!(!partner.includes(&OwnerId::default_partner()));
        assert_eq!("**".parse::<Recipient>(), Err(IdError::Owner));
    }
}
