//! Changing an input a little, in the ways that matter to parsers of text.

use crate::random::Random;

/// No input grows beyond this: the parsers' own caps are tested by inputs of that size, not by more of the same.
const LONGEST: usize = 16 * 1024;

/// Numbers at the edges of the types that numbers are read into.
const EDGES: [&str; 22] = [
    "0",
    "-0",
    "1",
    "-1",
    "9",
    "10",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e-400",
    "0.1",
];

/// Bytes that end, begin or escape something in one of the languages.
const TELLING: &[u8] = b"\0\t\n\r \"#%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~\x7f\x80\xc3\xff";

/// `input` changed in one to six places; `other` is an input to take a piece from.
pub(crate) fn changed(input: &[u8], other: &[u8], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(6) {
        change_once(&mut bytes, other, words, random);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change_once(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(12) {
        0 => flip(bytes, random),
        1 => replace(bytes, at, 1, &[random.below(256) as u8]),
        2 => replace(bytes, at, random.below(2), &telling(random)),
        3 => replace(bytes, at, random.below(16), &[]),
        4 => repeat(bytes, at, random),
        5 => replace(bytes, at, 0, word(words, random)),
        6 => replace(bytes, at, random.below(12), word(words, random)),
        7 => number(bytes, at, random),
        8 => splice(bytes, at, other, random),
        9 => bytes.truncate(at),
        10 => swap_pieces(bytes, random),
        _ => nest(bytes, at, random),
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn replace(bytes: &mut Vec<u8>, at: usize, length: usize, with: &[u8]) {
    let end = at.saturating_add(length).min(bytes.len());
    bytes.splice(at..end, with.iter().copied());
}

fn telling(random: &mut Random) -> Vec<u8> {
    random.one_of(TELLING).map(|byte| vec![*byte]).unwrap_or_default()
}

fn word<'a>(words: &[&'a str], random: &mut Random) -> &'a [u8] {
    random.one_of(words).map_or(b"", |word| word.as_bytes())
}

/// A piece again and again, as far as a bound that is tested for wants it.
fn repeat(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let end = (at + 1 + random.below(24)).min(bytes.len());
    let piece = bytes[at..end].to_vec();
    let times = [1, 2, 9, 70, 300][random.below(5)];
    replace(bytes, at, 0, &piece.repeat(times));
}

/// The number at this place becomes one at an edge.
fn number(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let digits = |byte: &u8| byte.is_ascii_digit();
    let Some(begin) = bytes[at..].iter().position(digits).map(|offset| at + offset) else { return };
    let length = bytes[begin..].iter().take_while(|byte| digits(byte)).count();
    let edge = EDGES[random.below(EDGES.len())];
    replace(bytes, begin, length, edge.as_bytes());
}

fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let begin = random.below(other.len() + 1);
    let end = (begin + random.below(64)).min(other.len());
    replace(bytes, at, random.below(16), &other[begin..end]);
}

fn swap_pieces(bytes: &mut [u8], random: &mut Random) {
    let (one, two) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
    bytes[one.min(two)..].rotate_left(one.abs_diff(two));
}

/// Brackets, to and beyond the depth that is allowed.
fn nest(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let depth = [1, 8, 63, 64, 65, 200, 5000][random.below(7)];
    let (open, close) = [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")][random.below(3)];
    replace(bytes, at, 0, open.repeat(depth).as_bytes());
    let behind = (at + open.len() * depth + random.below(8)).min(bytes.len());
    replace(bytes, behind, 0, close.repeat(depth).as_bytes());
}
