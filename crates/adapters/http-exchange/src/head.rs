//! The head of an answer: found in bytes that come as they like, and taken apart without trusting it.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig};

/// More header lines than this are no answer.
const MOST_HEADERS: usize = 100;
/// More bytes than this are no head; interim answers (1xx) before it count as a part of it.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// More interim answers than this are no answer.
const MOST_INTERIM: u8 = 16;
/// How every answer begins that is one.
const BEGINNING: &[u8] = b"HTTP/1.";

/// An answer's head, taken apart.
#[derive(Debug)]
pub struct AnswerHead<'h, 'b> {
    /// The status: 101, or 200 and above.
    pub code: u16,
    /// The version behind `HTTP/1.`.
    pub version: u8,
    /// The headers, in their order.
    pub headers: &'h [Header<'b>],
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another protocol, or another version of this one.
    #[error("the answer is not HTTP/1")]
    Protocol,
    /// Not the form of a head.
    #[error("the answer is no HTTP: {0}")]
    Form(#[from] httparse::Error),
    /// A head without an end.
    #[error("the answer's head is too long")]
    TooLong,
    /// Interim answers without end.
    #[error("too many interim answers")]
    TooManyInterim,
    /// A length that is no number, or two that differ: nobody can say where such an answer ends.
    #[error("the answer's Content-Length is none")]
    ContentLength,
}

/// Looks for the head in what has come so far. Interim answers are passed over.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// Where the head begins: behind the interim answers.
    start: usize,
    /// How far the end was looked for, from there.
    searched: usize,
    interim: u8,
}

impl HeadReader {
    /// What `read` makes of the head, and where it ends, once `bytes`, which are all that has come, have it whole.
    ///
    /// # Errors
    /// Why it is none. How the bytes came makes no difference.
    pub fn find<T>(
        &mut self,
        bytes: &[u8],
        read: impl Fn(AnswerHead<'_, '_>) -> Result<T, Malformed>,
    ) -> Result<Option<(T, usize)>, Malformed> {
        loop {
            let rest = &bytes[self.start..];
            check_beginning(rest)?;
            // Looked for only in what is new: a head that comes byte by byte costs no more than one that comes at once.
            let Some(end) = end_of_head(rest, self.searched) else {
                self.searched = rest.len().saturating_sub(2);
                return if bytes.len() < MOST_HEAD_BYTES {
                    Ok(None)
                } else {
                    Err(too_long(&bytes[self.start..MOST_HEAD_BYTES]))
                };
            };
            if self.start + end > MOST_HEAD_BYTES {
                return Err(too_long(&bytes[self.start..MOST_HEAD_BYTES]));
            }
            let parsed = parse(&rest[..end], &read)?;
            (self.start, self.searched) = (self.start + end, 0);
            match parsed {
                Some(head) => return Ok(Some((head, self.start))),
                None if self.interim == MOST_INTERIM => return Err(Malformed::TooManyInterim),
                None => self.interim += 1,
            }
        }
    }

    /// What `bytes` are when no more will come: the beginning of a head (`None`), or none.
    #[must_use]
    pub fn ended(&self, bytes: &[u8]) -> Option<Malformed> {
        try_parse(&bytes[self.start..], |_| ()).err()
    }
}

fn check_beginning(bytes: &[u8]) -> Result<(), Malformed> {
    let known = bytes.len().min(BEGINNING.len());
    if bytes[..known] == BEGINNING[..known] { Ok(()) } else { Err(Malformed::Protocol) }
}

/// Where the first empty line ends, looking from `from`.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(line) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += line + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// What is wrong with a head that begins with these bytes and does not end within the bound: its form, where that shows.
fn too_long(bytes: &[u8]) -> Malformed {
    try_parse(bytes, |_| ()).err().unwrap_or(Malformed::TooLong)
}

/// What is read of the head, or `None` for an interim one.
fn parse<T>(bytes: &[u8], read: impl Fn(AnswerHead<'_, '_>) -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
    try_parse(bytes, |response| {
        let (Some(code), Some(version)) = (response.code, response.version) else { return Err(Malformed::Protocol) };
        match code {
            0..100 => Err(Malformed::Form(httparse::Error::Status)),
            // Nobody asked to switch protocols: what follows is none of ours, and the status is the answer.
            100..200 if code != 101 => Ok(None),
            _ => read(AnswerHead { code, version, headers: response.headers }).map(Some),
        }
    })?
    // There is an empty line, so this is something that httparse does not take for a head.
    .ok_or(Malformed::Protocol)?
}

/// Has `read` look at a whole head; `None` when it is not whole.
fn try_parse<T>(bytes: &[u8], read: impl FnOnce(&httparse::Response<'_, '_>) -> T) -> Result<Option<T>, Malformed> {
    check_beginning(bytes)?;
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let status = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers)?;
    Ok(status.is_complete().then(|| read(&response)))
}
