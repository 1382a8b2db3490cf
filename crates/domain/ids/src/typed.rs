use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::IdError;
use crate::{base32, text};

/// What all identifiers made of a prefix and a UUID have in common, so that one maker can make any of them.
pub trait TypedId:
    Copy + Eq + Ord + Hash + fmt::Debug + fmt::Display + FromStr<Err = IdError> + Send + Sync + 'static
{
    /// What stands before the underscore in the text.
    const PREFIX: &'static str;

    /// Takes a UUID as an id of this kind. Any UUID is taken; new ones should be version 7.
    fn from_uuid(uuid: Uuid) -> Self;

    /// The UUID, as rows hold it.
    fn uuid(self) -> Uuid;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("Text form: `", $prefix, "_` and 26 characters.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore in the text.
            pub const PREFIX: &'static str = $prefix;

            /// Takes a UUID, from a row for example, as an id of this kind.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID, as rows hold it.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// When the id was made, in Unix milliseconds. Meaningless for a UUID of another version than 7.
            #[must_use]
            pub const fn unix_ms(self) -> u64 {
                unix_ms(self.0)
            }

            /// The smallest value with this Unix millisecond in it: the bound to use in a range over time. It is below
            /// every id made in that millisecond and is not one itself, having no version bits, exactly as its twin
            /// `onering.uuid_floor` in the database, by which the partitions are cut.
            ///
            /// An instant beyond 48 bits (the year 10889) counts as the last one that fits.
            #[must_use]
            pub const fn floor(unix_ms: u64) -> Self {
                Self(floor(unix_ms))
            }
        }

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;

            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text($prefix, self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::deserialize(deserializer, concat!("a ", $prefix, "_… identifier"))
            }
        }
    )+};
}

typed_ids! {
    /// An API key: one identity and one quota of a partner, whatever its secrets.
    KeyId = "key";
    /// One secret of a key or of a subscription.
    SecretId = "sec";
    /// One fact that happened in the product.
    EventId = "evt";
    /// A webhook subscription.
    SubscriptionId = "wh";
    /// One event for one subscription.
    DeliveryId = "dlv";
    /// An entry of the blocklist.
    BlockId = "blk";
    /// An operator's key.
    AdminKeyId = "adm";
    /// A row of the audit log.
    AuditId = "aud";
    /// A job that sends deliveries of a range of time again.
    ReplayId = "rpl";
    /// One HTTP request, in answers and logs.
    RequestId = "req";
}

const MS_BITS: u32 = 48;

const fn unix_ms(uuid: Uuid) -> u64 {
    (uuid.as_u128() >> (128 - MS_BITS)) as u64
}

const fn floor(unix_ms: u64) -> Uuid {
    const LAST_MS: u64 = (1 << MS_BITS) - 1;
    let ms = if unix_ms > LAST_MS { LAST_MS } else { unix_ms };
    Uuid::from_u128((ms as u128) << (128 - MS_BITS))
}

fn write_text(prefix: &str, uuid: Uuid, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = base32::encode(uuid.as_u128());
    formatter.write_str(prefix)?;
    formatter.write_str("_")?;
    formatter.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(IdError::Prefix { prefix })?;
    base32::decode(digits.as_bytes()).map(Uuid::from_u128).map_err(|garbled| match garbled {
        base32::Garbled::Length => IdError::Length { prefix, length: digits.len() },
        base32::Garbled::Alphabet => IdError::Alphabet { prefix },
        base32::Garbled::Overflow => IdError::Overflow { prefix },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the valid vectors of TypeID 0.3.
    const SPEC_UUID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const SPEC_SUFFIX: &str = "01h455vb4pex5vsknk084sn02q";

    #[test]
    fn text_is_that_of_the_typeid_specification() {
        let id = EventId::from_uuid(SPEC_UUID.parse().unwrap());
        assert_eq!(id.to_string(), format!("evt_{SPEC_SUFFIX}"));
        assert_eq!(format!("evt_{SPEC_SUFFIX}").parse(), Ok(id));
        assert_eq!(format!("{id:?}"), id.to_string());
    }

    #[test]
    fn each_kind_has_its_own_prefix() {
        let prefixes = [
            KeyId::PREFIX,
            SecretId::PREFIX,
            EventId::PREFIX,
            SubscriptionId::PREFIX,
            DeliveryId::PREFIX,
            BlockId::PREFIX,
            AdminKeyId::PREFIX,
            AuditId::PREFIX,
            ReplayId::PREFIX,
            RequestId::PREFIX,
        ];
        assert_eq!(prefixes, ["key", "sec", "evt", "wh", "dlv", "blk", "adm", "aud", "rpl", "req"]);
        assert_eq!(prefixes.len(), std::collections::BTreeSet::from(prefixes).len());
    }

    #[test]
    fn what_is_not_an_id_is_refused_with_the_reason() {
        let prefix = "evt";
        let cases = [
            (String::new(), IdError::Prefix { prefix }),
            (SPEC_SUFFIX.to_owned(), IdError::Prefix { prefix }),
            (format!("_{SPEC_SUFFIX}"), IdError::Prefix { prefix }),
            (format!("evt{SPEC_SUFFIX}"), IdError::Prefix { prefix }),
            (format!("EVT_{SPEC_SUFFIX}"), IdError::Prefix { prefix }),
            (format!("key_{SPEC_SUFFIX}"), IdError::Prefix { prefix }),
            ("evt_".to_owned(), IdError::Length { prefix, length: 0 }),
            (format!("evt__{SPEC_SUFFIX}"), IdError::Length { prefix, length: 27 }),
            (format!("evt_{}", &SPEC_SUFFIX[1..]), IdError::Length { prefix, length: 25 }),
            (format!("evt_{SPEC_SUFFIX} "), IdError::Length { prefix, length: 27 }),
            (format!("evt_{}", SPEC_SUFFIX.to_uppercase()), IdError::Alphabet { prefix }),
            ("evt_01h455vb4pex5vsknk084sn02l".to_owned(), IdError::Alphabet { prefix }),
            (format!("evt_8{}", &SPEC_SUFFIX[1..]), IdError::Overflow { prefix }),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<EventId>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn json_holds_the_text() {
        let id = SubscriptionId::from_uuid(SPEC_UUID.parse().unwrap());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"wh_{SPEC_SUFFIX}\""));
        assert_eq!(serde_json::from_str::<SubscriptionId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<KeyId>(&json).is_err());
        assert!(serde_json::from_str::<KeyId>("7").unwrap_err().to_string().contains("key_"));
    }

    #[test]
    fn the_time_inside_is_read_back() {
        let id = DeliveryId::floor(1_700_000_000_123);
        assert_eq!(id.unix_ms(), 1_700_000_000_123);
        assert_eq!(id.uuid().to_string(), "018bcfe5-687b-0000-0000-000000000000");
        assert_eq!(DeliveryId::floor(u64::MAX).unix_ms(), (1 << 48) - 1);
    }

    proptest! {
        #[test]
        fn any_uuid_survives_text_and_json(value: u128) {
            let id = RequestId::from_uuid(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<RequestId>(&json).unwrap(), id);
        }

        #[test]
        fn text_sorts_as_the_id(one: u128, other: u128) {
            let (one, other) = (KeyId::from_uuid(Uuid::from_u128(one)), KeyId::from_uuid(Uuid::from_u128(other)));
            prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
        }

        #[test]
        fn the_floor_bounds_every_version_7_id_of_its_millisecond(ms in 0..(1_u64 << 48), counter: u16, random: u64) {
            let low = random.to_be_bytes();
            let mut bytes = [0; 10];
            bytes[..2].copy_from_slice(&counter.to_be_bytes());
            bytes[2..].copy_from_slice(&low);
            let id = EventId::from_uuid(uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid());
            prop_assert!(EventId::floor(ms) <= id);
            prop_assert!(id < EventId::floor(ms + 1) || ms + 1 == 1 << 48);
            prop_assert_eq!(id.unix_ms(), ms);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<EventId>();
            let _ = format!("evt_{text}").parse::<EventId>();
        }
    }
}
