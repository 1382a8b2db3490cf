use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::IdError;
use crate::text;

/// A partner, by the name its operator gave it: 1–64 characters of `A-Z a-z 0-9 _ . : @ -`, the first a letter or a
/// digit. The `partners` table holds the same rule as a CHECK.
///
/// Cheap to clone: it is shared, not copied.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(Arc<str>);

impl OwnerId {
    /// The most characters a name may have.
    pub const MAX_LENGTH: usize = 64;

    /// The partner that keys belong to when none is named; it exists from the first migration on.
    #[must_use]
    pub fn default_partner() -> Self {
        static DEFAULT: LazyLock<OwnerId> = LazyLock::new(|| OwnerId(Arc::from("default")));
        DEFAULT.clone()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = text.bytes();
        let first_is_good = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
        let rest_is_good = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.:@-".contains(&byte));
        if first_is_good && rest_is_good && text.len() <= Self::MAX_LENGTH {
            Ok(Self(Arc::from(text)))
        } else {
            Err(IdError::Owner)
        }
    }
}

impl TryFrom<String> for OwnerId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl TryFrom<&str> for OwnerId {
    type Error = IdError;

    fn try_from(text: &str) -> Result<Self, IdError> {
        text.parse()
    }
}

impl Default for OwnerId {
    fn default() -> Self {
        Self::default_partner()
    }
}

impl Deref for OwnerId {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for OwnerId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for OwnerId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl Serialize for OwnerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OwnerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "an owner_id")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_names() {
        for name in ["default", "acme", "a", "7", "partner-42", "org_9f3a", "a:b", "x.y@z", &"x".repeat(64)] {
            assert_eq!(name.parse::<OwnerId>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn bad_names() {
        for name in ["", "*", "-a", "_a", ".a", "a b", "a/b", "ünïcode", "a\n", "a\0", &"x".repeat(65)] {
            assert_eq!(name.parse::<OwnerId>(), Err(IdError::Owner), "{name:?}");
        }
    }

    #[test]
    fn the_default_partner_is_a_good_name() {
        assert_eq!("default".parse(), Ok(OwnerId::default_partner()));
        assert_eq!(OwnerId::default(), OwnerId::default_partner());
    }

    #[test]
    fn a_map_of_owners_is_searched_by_text() {
        let owners = std::collections::HashMap::from([(OwnerId::default_partner(), 1)]);
        assert_eq!(owners.get("default"), Some(&1));
    }

    proptest! {
        #[test]
        fn the_rule_is_the_one_of_the_table(text in "[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}") {
            let owner: OwnerId = text.parse().unwrap();
            prop_assert_eq!(owner.to_string(), text.clone());
            let json = serde_json::to_string(&owner).unwrap();
            prop_assert_eq!(serde_json::from_str::<OwnerId>(&json).unwrap(), owner);
        }
    }
}
