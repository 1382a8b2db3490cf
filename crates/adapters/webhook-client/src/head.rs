//! The head of an answer: found in bytes that come as they like, and taken apart without trusting it.

use std::mem::MaybeUninit;
use std::time::Duration;

use chrono::{DateTime, Utc};
use httparse::{Header, ParserConfig};
use onering_delivery::retry_after;
use onering_signing::{KeyAge, header};

/// More header lines than this are no answer.
const MOST_HEADERS: usize = 100;
/// More bytes than this are no head; interim answers (1xx) before it count as a part of it.
pub(crate) const MOST_BYTES: usize = 64 * 1024;
/// More interim answers than this are no answer.
const MOST_INTERIM: u8 = 16;
/// How every answer begins that is one.
const BEGINNING: &[u8] = b"HTTP/1.";

/// What the head of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) code: u16,
    /// The first `Retry-After` that is understood; saturated and capped by the domain.
    pub(crate) retry_after: Option<Duration>,
    /// Whether `X-Webhook-Error: REPLAY_EXPIRED` is there.
    pub(crate) replay_expired: bool,
    /// Which secret the receiver says it verified with.
    pub(crate) verified_with: Option<KeyAge>,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// Whether another request may follow on the connection once the body is read whole.
    pub(crate) keeps_alive: bool,
}

/// Where a body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After this many bytes.
    Length(u64),
    /// After the chunk of no bytes.
    Chunked,
    /// With the connection.
    Close,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
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
pub(crate) struct HeadReader {
    /// Where the head begins: behind the interim answers.
    start: usize,
    /// How far the end was looked for, from there.
    searched: usize,
    interim: u8,
}

impl HeadReader {
    /// The head and where it ends, once `bytes`, which are all that has come, have it whole.
    ///
    /// # Errors
    /// Why it is none. How the bytes came makes no difference.
    pub(crate) fn find(
        &mut self,
        bytes: &[u8],
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<Option<(Head, usize)>, Malformed> {
        loop {
            let rest = &bytes[self.start..];
            check_beginning(rest)?;
            // Looked for only in what is new: a head that comes byte by byte costs no more than one that comes at once.
            let Some(end) = end_of_head(rest, self.searched) else {
                self.searched = rest.len().saturating_sub(2);
                return if bytes.len() < MOST_BYTES { Ok(None) } else { Err(too_long(&bytes[self.start..MOST_BYTES])) };
            };
            if self.start + end > MOST_BYTES {
                return Err(too_long(&bytes[self.start..MOST_BYTES]));
            }
            let parsed = parse(&rest[..end], &now)?;
            (self.start, self.searched) = (self.start + end, 0);
            match parsed {
                Some(head) => return Ok(Some((head, self.start))),
                None if self.interim == MOST_INTERIM => return Err(Malformed::TooManyInterim),
                None => self.interim += 1,
            }
        }
    }

    /// What `bytes` are when no more will come: the beginning of a head (`None`), or none.
    pub(crate) fn ended(&self, bytes: &[u8]) -> Option<Malformed> {
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

/// The head, or `None` for an interim one.
fn parse(bytes: &[u8], now: impl Fn() -> DateTime<Utc>) -> Result<Option<Head>, Malformed> {
    try_parse(bytes, |response| {
        let (Some(code), Some(version)) = (response.code, response.version) else { return Err(Malformed::Protocol) };
        match code {
            0..100 => Err(Malformed::Form(httparse::Error::Status)),
            // Nobody asked to switch protocols: what follows is none of ours, and the status is the answer.
            100..200 if code != 101 => Ok(None),
            _ => Head::of(code, version, response.headers, now).map(Some),
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

impl Head {
    fn of(code: u16, version: u8, headers: &[Header<'_>], now: impl Fn() -> DateTime<Utc>) -> Result<Self, Malformed> {
        let length = content_length(headers)?;
        let codings = values(headers, "transfer-encoding").flat_map(list).last();
        let has_body = !matches!(code, 101 | 204 | 304);
        let framing = match (has_body, codings, length) {
            (false, ..) => Framing::Length(0),
            (true, Some(last), _) if last.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            (true, Some(_), _) | (true, None, None) => Framing::Close,
            (true, None, Some(length)) => Framing::Length(length),
        };
        // Two opinions on where the answer ends are how one answer is passed off as two. The status has been said, so the
        // answer counts; but nothing that follows it on this connection is believed to be another.
        let is_clear = match framing {
            Framing::Length(end) => codings.is_none() && length.is_none_or(|length| length == end),
            Framing::Chunked => length.is_none(),
            Framing::Close => false,
        };
        let closes = values(headers, "connection").flat_map(list).any(|word| word.eq_ignore_ascii_case(b"close"));
        Ok(Self {
            code,
            retry_after: values(headers, "retry-after").find_map(|value| retry_after::parse(text(value)?, now())),
            replay_expired: values(headers, header::ERROR).any(|value| value.trim_ascii() == b"REPLAY_EXPIRED"),
            verified_with: verified_with(headers),
            framing,
            keeps_alive: version == 1 && code != 101 && is_clear && !closes,
        })
    }
}

/// The values of all headers of this name.
fn values<'h>(headers: &'h [Header<'_>], name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The elements of a value that is a list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// The length, said once or several times alike (RFC 9110, section 8.6).
fn content_length(headers: &[Header<'_>]) -> Result<Option<u64>, Malformed> {
    let mut known = None;
    for word in values(headers, "content-length").flat_map(list) {
        let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        let length = text(word).filter(|_| is_number).and_then(|word| word.parse().ok());
        let length: u64 = length.ok_or(Malformed::ContentLength)?;
        if *known.get_or_insert(length) != length {
            return Err(Malformed::ContentLength);
        }
    }
    Ok(known)
}

/// One known word; contradictory or unknown words say nothing.
fn verified_with(headers: &[Header<'_>]) -> Option<KeyAge> {
    let mut words = values(headers, header::VERIFIED_WITH);
    let word = words.next().filter(|_| words.next().is_none())?;
    KeyAge::of_word(text(word)?.trim_ascii())
}

#[cfg(test)]
mod tests;
