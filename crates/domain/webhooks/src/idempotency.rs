use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A publisher's own name for one request (`Idempotency-Key`): 1–255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// The text is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to {} visible ASCII characters", IdempotencyKey::MAX_LENGTH)]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// The most characters a key may have.
    pub const MAX_LENGTH: usize = 255;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let good = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text.into())) } else { Err(IdempotencyKeyError) }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// SHA-256 of what a request asks for: the same key with another digest is a mistake of the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The bytes, as rows hold them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Over parts whose lengths are hashed too, so that no two lists of parts look alike. An absent part is unlike an
    /// empty one.
    pub(crate) fn of(parts: &[Option<&[u8]>]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            match part {
                Some(bytes) => {
                    hash.update([1]);
                    hash.update((bytes.len() as u64).to_be_bytes());
                    hash.update(bytes);
                }
                None => hash.update([0]),
            }
        }
        Self(hash.finalize().into())
    }
}

impl From<[u8; 32]> for ContentDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys() {
        for text in ["a", "8e03978e-40d5-43e8-bc93-6894a57f9324", "~!\"", &"k".repeat(255)] {
            assert_eq!(text.parse::<IdempotencyKey>().unwrap().as_str(), text);
        }
        for text in ["", " ", "a b", "é", "a\n", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(IdempotencyKeyError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn moving_a_byte_between_parts_changes_the_digest(one in "[ab]{0,4}", two in "[ab]{0,4}", at: prop::sample::Index) {
            let whole = format!("{one}{two}");
            let (left, right) = whole.split_at(at.index(whole.len() + 1));
            let same = ContentDigest::of(&[Some(one.as_bytes()), Some(two.as_bytes())])
                == ContentDigest::of(&[Some(left.as_bytes()), Some(right.as_bytes())]);
            prop_assert_eq!(same, left == one);
        }
    }

    /// Without the lengths both would hash the same bytes: the mark of a part may stand inside one.
    #[test]
    fn a_part_cannot_pass_for_two() {
        let one = ContentDigest::of(&[Some(b"a"), Some(b"b\x01c")]);
        let other = ContentDigest::of(&[Some(b"a\x01b"), Some(b"c")]);
        assert_ne!(one, other);
    }

    #[test]
    fn absent_is_not_empty() {
        assert_ne!(ContentDigest::of(&[None]), ContentDigest::of(&[Some(b"")]));
    }
}
