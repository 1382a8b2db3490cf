use std::fmt;

/// The beginning of a receiver's answer, kept for people: at most 2 KiB of UTF-8 text that Postgres can store.
///
/// What is not UTF-8, and the NUL character that a `text` column refuses, become U+FFFD. It may hold anything the
/// receiver likes, so it is shown to the subscription's owner and never logged: `Debug` tells only its length.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Snippet(String);

impl Snippet {
    /// The most bytes kept; the table holds the same bound as a CHECK.
    pub const MAX_BYTES: usize = 2048;

    /// Keeps the beginning of an answer's body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut kept = String::new();
        for chunk in body[..body.len().min(Self::MAX_BYTES)].utf8_chunks() {
            for character in chunk.valid().chars() {
                push_within(&mut kept, if character == '\0' { char::REPLACEMENT_CHARACTER } else { character });
            }
            if !chunk.invalid().is_empty() {
                push_within(&mut kept, char::REPLACEMENT_CHARACTER);
            }
        }
        Self(kept)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, or nothing when the answer had no body.
    #[must_use]
    pub fn into_non_empty(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

/// A replacement is longer than the byte it stands for, so the bound is checked character by character.
fn push_within(kept: &mut String, character: char) {
    if kept.len() + character.len_utf8() <= Snippet::MAX_BYTES {
        kept.push(character);
    }
}

impl fmt::Debug for Snippet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snippet({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_kept_as_it_is() {
        assert_eq!(Snippet::of("naïve ☃".as_bytes()).as_str(), "naïve ☃");
        assert_eq!(Snippet::of(b"").into_non_empty(), None);
        assert_eq!(Snippet::of(b"a\0b\xFFc").as_str(), "a\u{FFFD}b\u{FFFD}c");
        assert_eq!(Snippet::of(&[b'x'; 5000]).as_str().len(), Snippet::MAX_BYTES);
    }

    #[test]
    fn debug_tells_no_content() {
        assert_eq!(format!("{:?}", Snippet::of(b"secret")), "Snippet(6 bytes)");
    }

    proptest! {
        #[test]
        fn any_bytes_become_storable_text(body in prop::collection::vec(any::<u8>(), 0..6000)) {
            let snippet = Snippet::of(&body);
            prop_assert!(snippet.as_str().len() <= Snippet::MAX_BYTES);
            prop_assert!(!snippet.as_str().contains('\0'));
        }
    }
}
