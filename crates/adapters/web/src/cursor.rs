//! Where the next page begins, in a form that callers cannot take apart or make up by accident.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onering_ids::{AdminKeyId, AuditId, BlockId, DeliveryId, KeyId, OwnerId, ReplayId, SubscriptionId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// What the deserialiser says of a bad cursor; [`StrictQuery`](crate::StrictQuery) knows it by these words.
pub(crate) const NOT_A_CURSOR: &str = "not a cursor of this list";

const CHECK_BYTES: usize = 4;

/// What lists are ordered by: the name of one item.
pub trait CursorKey: fmt::Display + FromStr {
    /// What the list is of. It goes into the check, since the text of one kind of key may be good as that of another: every
    /// id could name a partner.
    const LIST: &'static str;
}

macro_rules! cursor_keys {
    ($($key:ty = $list:literal;)+) => {$(
        impl CursorKey for $key {
            const LIST: &'static str = $list;
        }
    )+};
}

cursor_keys! {
    AdminKeyId = "admin keys";
    AuditId = "audit";
    BlockId = "blocklist";
    DeliveryId = "deliveries";
    KeyId = "keys";
    OwnerId = "partners";
    ReplayId = "replays";
    SubscriptionId = "subscriptions";
}

/// The key of the last item of a page, opaque to callers: base64url of four check bytes and the key's text.
///
/// The check is against slips (a cut cursor, another list's cursor), not against forgery: a key gives no access to
/// anything, since every list is read within what its caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<K>(K);

impl<K> Cursor<K> {
    /// A cursor that continues after the item with this key.
    pub const fn new(key: K) -> Self {
        Self(key)
    }

    /// The key of the last item that the caller has seen.
    pub fn into_key(self) -> K {
        self.0
    }
}

/// The text is not a cursor, or one of another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", NOT_A_CURSOR)]
pub struct NotACursor;

impl<K: CursorKey> fmt::Display for Cursor<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.0.to_string();
        let mut bytes = check(K::LIST, key.as_bytes()).to_vec();
        bytes.extend_from_slice(key.as_bytes());
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl<K: CursorKey> FromStr for Cursor<K> {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotACursor)?;
        let (found, key) = bytes.split_first_chunk::<CHECK_BYTES>().ok_or(NotACursor)?;
        if *found != check(K::LIST, key) {
            return Err(NotACursor);
        }
        let key = std::str::from_utf8(key).map_err(|_| NotACursor)?;
        key.parse().map(Self).map_err(|_| NotACursor)
    }
}

fn check(list: &str, key: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update(b"onering cursor 2\0").chain_update(list).chain_update(b"\0");
    let digest = digest.chain_update(key).finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

impl<K: CursorKey> Serialize for Cursor<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: CursorKey> Deserialize<'de> for Cursor<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    cursor_keys! {
        String = "texts";
    }

    #[test]
    fn another_lists_cursor_is_refused() {
        let key: KeyId = "key_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let text = Cursor::new(key).to_string();
        assert_eq!(text.parse(), Ok(Cursor::new(key)));
        assert_eq!(text.parse::<Cursor<DeliveryId>>(), Err(NotACursor));
        // Its text is a partner's name as well.
        assert!(key.to_string().parse::<OwnerId>().is_ok());
        assert_eq!(text.parse::<Cursor<OwnerId>>(), Err(NotACursor));
    }

    #[test]
    fn a_cut_or_changed_cursor_is_refused() {
        let owner: OwnerId = "acme-partner".parse().unwrap();
        let text = Cursor::new(owner).to_string();
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<Cursor<OwnerId>>(), Err(NotACursor), "{end}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(changed.parse::<Cursor<OwnerId>>(), Err(NotACursor), "{changed}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_went_out(key in ".{1,80}") {
            let text = Cursor::new(key.clone()).to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(text.parse::<Cursor<String>>().map(Cursor::into_key), Ok(key));
        }

        #[test]
        fn any_other_text_is_refused(text in ".{0,80}") {
            prop_assert_eq!(text.parse::<Cursor<String>>(), Err(NotACursor));
        }
    }
}
