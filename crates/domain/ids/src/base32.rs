//! The base32 of TypeID 0.3: Crockford's alphabet, lower case, 128 bits in 26 characters, the most significant first.

/// Characters in the text of 128 bits: 26 × 5 = 130, so the first one carries only three bits.
pub(crate) const LENGTH: usize = 26;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const NOT_A_DIGIT: u8 = u8::MAX;
const VALUES: [u8; 256] = values();

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Garbled {
    Length,
    Alphabet,
    Overflow,
}

pub(crate) fn encode(value: u128) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let mut rest = value;
    for character in text.iter_mut().rev() {
        *character = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    text
}

pub(crate) fn decode(text: &[u8]) -> Result<u128, Garbled> {
    if text.len() != LENGTH {
        return Err(Garbled::Length);
    }
    let mut value = 0_u128;
    for (position, character) in text.iter().enumerate() {
        let digit = VALUES[usize::from(*character)];
        if digit == NOT_A_DIGIT {
            return Err(Garbled::Alphabet);
        }
        if position == 0 && digit > 7 {
            return Err(Garbled::Overflow);
        }
        value = (value << 5) | u128::from(digit);
    }
    Ok(value)
}

const fn values() -> [u8; 256] {
    let mut values = [NOT_A_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_of_the_range() {
        assert_eq!(&encode(0), b"00000000000000000000000000");
        assert_eq!(&encode(u128::MAX), b"7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(decode(b"8zzzzzzzzzzzzzzzzzzzzzzzzz"), Err(Garbled::Overflow));
    }

    #[test]
    fn letters_that_crockford_leaves_out_are_refused() {
        for letter in ['i', 'l', 'o', 'u', 'A', '-', ' ', 'é'] {
            let mut text = format!("0{letter}").into_bytes();
            text.resize(LENGTH, b'0');
            assert_eq!(decode(&text), Err(Garbled::Alphabet), "{letter}");
        }
    }

    proptest! {
        #[test]
        fn text_and_value_are_the_same_thing(value: u128) {
            prop_assert_eq!(decode(&encode(value)), Ok(value));
        }

        #[test]
        fn text_sorts_as_its_value(one: u128, other: u128) {
            prop_assert_eq!(encode(one).cmp(&encode(other)), one.cmp(&other));
        }

        #[test]
        fn each_value_has_one_text(text in "[0-9a-zA-Z]{26}") {
            if let Ok(value) = decode(text.as_bytes()) {
                let encoded = encode(value);
                prop_assert_eq!(encoded.as_slice(), text.as_bytes());
            }
        }
    }
}
