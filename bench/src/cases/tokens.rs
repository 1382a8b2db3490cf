use std::hint::black_box;

use onering_keys::ApiToken;

use crate::{Prepared, routine};

/// The token of a call, from its text to the digest that it is looked up by.
pub(super) fn digest() -> Prepared {
    let text = ApiToken::from_entropy([7; 32]).expose().to_owned();
    routine(move || ApiToken::digest_of(black_box(&text)))
}

/// A token with a wrong character, which costs no digest.
pub(super) fn garbled() -> Prepared {
    let mut text = ApiToken::from_entropy([7; 32]).expose().to_owned();
    let last = if text.ends_with('0') { '1' } else { '0' };
    text.pop();
    text.push(last);
    routine(move || ApiToken::digest_of(black_box(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_read_and_one_is_not() {
        assert!(digest().unwrap().show().starts_with("Ok(TokenDigest("));
        assert_eq!(garbled().unwrap().show(), "Err(Checksum)");
    }
}
