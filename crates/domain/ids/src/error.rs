/// Why a text is not the identifier it was taken for.
///
/// The messages never repeat the text: they may be shown to whoever sent it and written to logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text does not begin with this kind's prefix and an underscore.
    #[error("not a {prefix} identifier: it must begin with \"{prefix}_\"")]
    Prefix {
        /// The prefix of the kind that was asked for.
        prefix: &'static str,
    },
    /// What follows the prefix is not 26 characters long.
    #[error("a {prefix} identifier has 26 characters after \"{prefix}_\", this one has {length}")]
    Length {
        /// The prefix of the kind that was asked for.
        prefix: &'static str,
        /// Characters found after the prefix, or bytes where the text is not ASCII.
        length: usize,
    },
    /// A character outside the lower-case Crockford base32 alphabet `0-9a-hjkmnp-tv-z`.
    #[error("a {prefix} identifier holds only digits and lower-case letters other than i, l, o and u")]
    Alphabet {
        /// The prefix of the kind that was asked for.
        prefix: &'static str,
    },
    /// The value needs more than 128 bits: the first character is above `7`.
    #[error("a {prefix} identifier begins with a digit from 0 to 7 after \"{prefix}_\"")]
    Overflow {
        /// The prefix of the kind that was asked for.
        prefix: &'static str,
    },
    /// The text breaks the rule for partner names.
    #[error("an owner_id has 1 to 64 characters: letters, digits and _ . : @ -, the first of them a letter or a digit")]
    Owner,
}
