use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is just above 2^256: as many characters as 256 bits need.
const SECRET_LENGTH: usize = 43;
/// 62^6 is above 2^32: as many characters as a CRC-32 needs.
const CHECKSUM_LENGTH: usize = 6;
const HINT_LENGTH: usize = 8;

/// Whose tokens: the kinds differ only in what they begin with.
pub trait TokenKind {
    /// What every token of the kind begins with; secret scanners look for it.
    const PREFIX: &'static str;
}

/// Tokens of partners, `osk_…`.
#[derive(Debug)]
pub enum ApiKind {}

/// Tokens of operators, `oak_…`.
#[derive(Debug)]
pub enum AdminKind {}

impl TokenKind for ApiKind {
    const PREFIX: &'static str = "osk_";
}

impl TokenKind for AdminKind {
    const PREFIX: &'static str = "oak_";
}

/// A partner's secret.
pub type ApiToken = Token<ApiKind>;

/// An operator's secret.
pub type AdminToken = Token<AdminKind>;

/// A secret that opens a key: the kind's prefix, 43 base62 characters of randomness, and 6 of CRC-32 over all before.
///
/// The checksum lets a garbled token be refused without a look-up, and lets scanners tell tokens from other text. The
/// text is wiped from memory when the token is dropped, and `Debug` does not show it.
pub struct Token<K> {
    text: Zeroizing<String>,
    kind: PhantomData<fn() -> K>,
}

/// Why a text cannot be a token. It says nothing about whether such a token was ever given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as tokens of this kind do, or is too long or too short.
    #[error("the token does not have the form of one")]
    Form,
    /// The checksum does not fit: a character was changed.
    #[error("the token's checksum does not fit")]
    Checksum,
}

impl<K: TokenKind> Token<K> {
    /// Characters in a token, prefix and checksum included.
    pub const LENGTH: usize = K::PREFIX.len() + SECRET_LENGTH + CHECKSUM_LENGTH;

    /// Makes a token of 256 random bits.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let mut rest = Zeroizing::new(entropy);
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        let mut digits = Zeroizing::new([0_u8; SECRET_LENGTH]);
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[usize::from(divide_by_62(&mut rest))];
        }
        text.push_str(K::PREFIX);
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self { text, kind: PhantomData }
    }

    /// Takes a token from outside.
    ///
    /// # Errors
    /// When the text cannot be a token of this kind.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        check::<K>(text)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), kind: PhantomData })
    }

    /// The digest of a token that stands in a request, without a copy of the token.
    ///
    /// # Errors
    /// When the text cannot be a token of this kind.
    pub fn digest_of(text: &str) -> Result<TokenDigest, TokenError> {
        check::<K>(text)?;
        Ok(TokenDigest(Sha256::digest(text.as_bytes()).into()))
    }

    /// What is stored in the token's stead.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.text.as_bytes()).into())
    }

    /// The token itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The first 8 characters, by which people tell secrets apart; they give away 24 of 256 bits.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.text[..HINT_LENGTH]
    }
}

impl<K: TokenKind> FromStr for Token<K> {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

impl<K: TokenKind> fmt::Debug for Token<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({}[redacted])", K::PREFIX)
    }
}

/// SHA-256 of a whole token. With 256 random bits beneath, no slow hash is needed, and an index finds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest([u8; 32]);

/// The text or the bytes are no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token digest has 32 bytes, in text 64 hexadecimal digits")]
pub struct DigestError;

impl TokenDigest {
    /// A digest as a row holds it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, as rows hold them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TokenDigest {
    type Error = DigestError;

    fn try_from(bytes: &[u8]) -> Result<Self, DigestError> {
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        digest.to_string()
    }
}

impl FromStr for TokenDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenDigest({}…)", hex::encode(&self.0[..4]))
    }
}

fn check<K: TokenKind>(text: &str) -> Result<(), TokenError> {
    let form = text.len() == Token::<K>::LENGTH
        && text.strip_prefix(K::PREFIX).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !form {
        return Err(TokenError::Form);
    }
    let (signed, claimed) = text.as_bytes().split_at(Token::<K>::LENGTH - CHECKSUM_LENGTH);
    if checksum(signed) == claimed { Ok(()) } else { Err(TokenError::Checksum) }
}

fn checksum(signed: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(signed) as usize;
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    digits
}

/// Divides a big-endian number in place and returns the remainder.
fn divide_by_62(number: &mut [u8; 32]) -> u8 {
    const BASE: u16 = ALPHABET.len() as u16;
    let mut remainder = 0_u16;
    for byte in number {
        let dividend = (remainder << 8) | u16::from(*byte);
        *byte = (dividend / BASE) as u8;
        remainder = dividend % BASE;
    }
    remainder as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_entropy() {
        let zero = ApiToken::from_entropy([0; 32]);
        assert_eq!(zero.expose(), "osk_00000000000000000000000000000000000000000004UCbgQ");
        let full = ApiToken::from_entropy([0xff; 32]);
        assert_eq!(full.expose().len(), ApiToken::LENGTH);
        assert_ne!(&full.expose()[4..6], "00", "all 256 bits fit and the first digit is used");
    }

    #[test]
    fn the_kinds_do_not_take_each_others_tokens() {
        let (partner, operator) = (ApiToken::from_entropy([7; 32]), AdminToken::from_entropy([7; 32]));
        assert_eq!((partner.hint(), operator.hint()), (&partner.expose()[..8], &operator.expose()[..8]));
        assert!(partner.hint().starts_with("osk_") && operator.hint().starts_with("oak_"));
        assert_eq!(AdminToken::parse(partner.expose()).unwrap_err(), TokenError::Form);
        assert_eq!(ApiToken::parse(operator.expose()).unwrap_err(), TokenError::Form);
        let disguised = operator.expose().replacen("oak_", "osk_", 1);
        assert_eq!(ApiToken::parse(&disguised).unwrap_err(), TokenError::Checksum);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = ApiToken::from_entropy([9; 32]);
        let good = token.expose();
        let multibyte = format!("{}é", &good[..good.len() - 2]);
        for text in ["", "osk_", &good[1..], &good[..52], &format!("{good}0"), &format!(" {}", &good[1..]), &multibyte]
        {
            assert_eq!(ApiToken::parse(text).unwrap_err(), TokenError::Form, "{text:?}");
        }
    }

    #[test]
    fn nothing_prints_the_secret() {
        let token = ApiToken::from_entropy([5; 32]);
        let secret = &token.expose()[4..];
        assert_eq!(format!("{token:?}"), "Token(osk_[redacted])");
        for error in [TokenError::Form, TokenError::Checksum] {
            assert!(!error.to_string().contains(secret));
        }
        let debugged = format!("{:?}", token.digest());
        assert!(!debugged.contains(&token.digest().to_string()), "{debugged}");
    }

    proptest! {
        #[test]
        fn made_tokens_are_good_and_match_the_scanners_pattern(entropy: [u8; 32]) {
            let token = ApiToken::from_entropy(entropy);
            let text = token.expose();
            prop_assert!(text.len() == 53 && text.starts_with("osk_"));
            prop_assert!(text[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let parsed = ApiToken::parse(text).unwrap();
            prop_assert_eq!(parsed.digest(), token.digest());
            prop_assert_eq!(ApiToken::digest_of(text), Ok(token.digest()));
        }

        #[test]
        fn different_entropy_makes_different_tokens(one: [u8; 32], other: [u8; 32]) {
            let (token, another) = (ApiToken::from_entropy(one), ApiToken::from_entropy(other));
            prop_assert_eq!(one == other, token.expose() == another.expose());
        }

        #[test]
        fn one_changed_character_is_noticed(entropy: [u8; 32], position in 4_usize..53, replacement in "[0-9A-Za-z]") {
            let token = ApiToken::from_entropy(entropy);
            let mut garbled = token.expose().to_owned();
            garbled.replace_range(position..=position, &replacement);
            prop_assume!(garbled != token.expose());
            prop_assert_eq!(ApiToken::digest_of(&garbled), Err(TokenError::Checksum));
        }

        #[test]
        fn digests_survive_their_text(bytes: [u8; 32]) {
            let digest = TokenDigest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            prop_assert_eq!(TokenDigest::try_from(bytes.as_slice()), Ok(digest));
            prop_assert_eq!(TokenDigest::try_from(&bytes[1..]), Err(DigestError));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}", tail in ".{49}") {
            let _ = ApiToken::digest_of(&text);
            let _ = ApiToken::digest_of(&format!("osk_{tail}"));
        }
    }
}
