//! [`Framed`]: where an answer's body ends, and how sure that is.

use httparse::Header;

use crate::head::{AnswerHead, Malformed};

/// Where a body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(u64),
    /// After the chunk of no bytes.
    Chunked,
    /// With the connection.
    Close,
}

/// What a head says about its body and the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed {
    /// Where the body ends.
    pub framing: Framing,
    /// The `Content-Length`, also where there is no body to have it.
    pub length: Option<u64>,
    /// Whether somebody else could find the end elsewhere: a transfer coding beside a length, a coding other than `chunked`
    /// alone, or one in HTTP/1.0, which knows none.
    pub is_doubtful: bool,
    /// Whether another request may follow on the connection once the body is read whole.
    pub keeps_alive: bool,
}

impl Framed {
    /// Reads it off a head. `is_bodiless`: what was asked is answered without a body, as `HEAD` is.
    ///
    /// # Errors
    /// [`Malformed::ContentLength`].
    pub fn of(head: &AnswerHead<'_, '_>, is_bodiless: bool) -> Result<Self, Malformed> {
        let length = content_length(head.headers)?;
        let mut codings = values(head.headers, "transfer-encoding").flat_map(list);
        let first = codings.next();
        let is_one = codings.next().is_none();
        let last = values(head.headers, "transfer-encoding").flat_map(list).last();
        let is_chunked = last.is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        let has_body = !is_bodiless && !matches!(head.code, 101 | 204 | 304);
        let framing = match (has_body, first, length) {
            (false, ..) => Framing::Length(0),
            (true, Some(_), _) if is_chunked => Framing::Chunked,
            (true, Some(_), _) | (true, None, None) => Framing::Close,
            (true, None, Some(length)) => Framing::Length(length),
        };
        // Two opinions on where the answer ends are how one answer is passed off as two: nothing that follows it on this
        // connection is believed to be another.
        let is_clear = match framing {
            Framing::Length(0) if is_bodiless => true,
            Framing::Length(end) => first.is_none() && length.is_none_or(|length| length == end),
            Framing::Chunked => length.is_none(),
            Framing::Close => false,
        };
        let is_doubtful = first.is_some() && (length.is_some() || !is_chunked || !is_one || head.version == 0);
        let closes = values(head.headers, "connection").flat_map(list).any(|word| word.eq_ignore_ascii_case(b"close"));
        let keeps_alive = head.version == 1 && head.code != 101 && is_clear && !closes;
        Ok(Self { framing, length, is_doubtful, keeps_alive })
    }
}

/// The values of all headers of this name.
pub fn values<'h>(headers: &'h [Header<'_>], name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The elements of a value that is a list.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The length, said once or several times alike (RFC 9110, section 8.6).
fn content_length(headers: &[Header<'_>]) -> Result<Option<u64>, Malformed> {
    let mut known = None;
    for word in values(headers, "content-length").flat_map(list) {
        let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(word).ok().filter(|_| is_number);
        let length: u64 = text.and_then(|word| word.parse().ok()).ok_or(Malformed::ContentLength)?;
        if *known.get_or_insert(length) != length {
            return Err(Malformed::ContentLength);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::HeadReader;

    fn framed(head: &str, is_bodiless: bool) -> Framed {
        let bytes = format!("{head}\r\n\r\n");
        let found = HeadReader::default().find(bytes.as_bytes(), |head| Framed::of(&head, is_bodiless));
        found.unwrap().unwrap().0
    }

    #[test]
    fn whoever_could_find_the_end_elsewhere_makes_it_doubtful() {
        for (head, is_doubtful) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", false),
            ("HTTP/1.0 200 OK", false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: gzip", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding:", true),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", true),
        ] {
            assert_eq!(framed(head, false).is_doubtful, is_doubtful, "{head:?}");
        }
    }

    #[test]
    fn an_answer_to_head_ends_with_its_head() {
        for (head, keeps_alive, length) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", true, Some(5)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", true, None),
            ("HTTP/1.1 200 OK", true, None),
            ("HTTP/1.1 200 OK\r\nConnection: close", false, None),
            ("HTTP/1.0 200 OK", false, None),
        ] {
            let framed = framed(head, true);
            assert_eq!((framed.framing, framed.keeps_alive), (Framing::Length(0), keeps_alive), "{head:?}");
            assert_eq!(framed.length, length, "{head:?}");
        }
    }
}
