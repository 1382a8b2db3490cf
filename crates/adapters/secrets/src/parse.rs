//! Reading `kid:base64,…`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::error::KeyRingError;

/// Tools differ over the padding; the bytes do not depend on it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The length of a key.
pub(crate) const KEY_BYTES: usize = 32;

const LONGEST_KID: usize = 64;

/// One entry of the list.
pub(crate) struct ParsedKey {
    pub(crate) kid: String,
    pub(crate) key: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys of the list, in its order, with distinct names. There is at least one.
pub(crate) fn parse(text: &str) -> Result<Vec<ParsedKey>, KeyRingError> {
    let mut keys: Vec<ParsedKey> = Vec::new();
    if text.trim().is_empty() {
        return Err(KeyRingError::Empty);
    }
    for (index, entry) in text.split(',').enumerate() {
        let position = index + 1;
        let (kid, key) = entry.trim().split_once(':').ok_or(KeyRingError::Form { position })?;
        if !is_key_id(kid) {
            return Err(KeyRingError::KeyId { position });
        }
        if keys.iter().any(|known| known.kid == kid) {
            return Err(KeyRingError::Duplicate { kid: kid.to_owned() });
        }
        keys.push(ParsedKey { kid: kid.to_owned(), key: decode(kid, key)? });
    }
    Ok(keys)
}

fn is_key_id(kid: &str) -> bool {
    (1..=LONGEST_KID).contains(&kid.len())
        && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn decode(kid: &str, key: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyRingError> {
    let bytes = BASE64.decode(key.trim()).map_err(|_| KeyRingError::Base64 { kid: kid.to_owned() })?;
    let bytes = Zeroizing::new(bytes);
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new).map_err(|_| KeyRingError::Length { kid: kid.to_owned(), length: bytes.len() })
}
