//! MurmurHash3 x86 32 bit, by Austin Appleby, who put it in the public domain. Written out here because cohorts must
//! never move: no release of a dependency may change who is in one.

/// Hashes the bytes with seed 0.
///
/// It takes an iterator so that `<salt>:<owner_id>` need not be put together in memory for every request.
pub(crate) fn murmur3_x86_32(bytes: impl Iterator<Item = u8>) -> u32 {
    let mut hash = 0_u32;
    let mut length = 0_u32;
    let mut block = 0_u32;
    for byte in bytes {
        let position = length % 4;
        block |= u32::from(byte) << (8 * position);
        length = length.wrapping_add(1);
        if position == 3 {
            hash ^= scramble(block);
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
            block = 0;
        }
    }
    // The bytes that do not fill a block; an empty rest scrambles to 0 and changes nothing.
    hash ^= scramble(block);
    finish(hash ^ length)
}

const fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

const fn finish(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length of the rest, against values known from other implementations.
    #[test]
    fn known_values() {
        let cases = [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("ab", 0x9bbf_d75f),
            ("abc", 0xb3dd_93fa),
            ("abcd", 0x43ed_676a),
            ("test", 0xba6b_d213),
            ("Hello, world!", 0xc036_3e43),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur3_x86_32(text.bytes()), hash, "{text:?}");
        }
    }
}
