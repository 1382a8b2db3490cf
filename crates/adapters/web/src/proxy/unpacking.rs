//! What the proxy makes of an upstream's bytes, which knows no sockets.
//!
//! [`read_forwarded`] puts the same steps together for tests that send anything at all.

use actix_web::HttpResponse;
use actix_web::body::BodySize;
use actix_web::http::StatusCode;
use bytes::{Buf, Bytes, BytesMut};
use onering_http_exchange::{AnswerHead, BodyReader, Framed, Framing, HeadReader, MOST_HEAD_BYTES};

use super::exchange::Broken;
use super::headers::to_client;

/// How an answer's body is passed on.
#[derive(Debug)]
pub(super) enum Shape {
    /// There is none.
    Nothing,
    /// There is none, and it would have this length.
    Announced(u64),
    /// It came with its head, whole.
    AtHand(Bytes),
    /// As it comes.
    Coming(BodySize, Content),
}

/// The content of a body, found in its coding.
#[derive(Debug)]
pub(super) struct Content(BodyReader);

/// What stands between an answer's content and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// Nothing: that was the end.
    Nothing,
    /// Bytes that have not come.
    Bytes,
    /// A coding in which an end could be found.
    Coding,
}

/// Takes the head of an answer off `buffer`, once that, which is all that has come, has it whole. An answer about whose end two
/// readers could disagree is none.
pub(super) fn take_head(
    reader: &mut HeadReader,
    buffer: &mut BytesMut,
    is_head: bool,
) -> Result<Option<(HttpResponse, Framed)>, Broken> {
    let read = |head: AnswerHead<'_, '_>| {
        let framed = Framed::of(&head, is_head)?;
        Ok((to_client(&head, framed.length), framed))
    };
    let in_bounds = &buffer[..buffer.len().min(MOST_HEAD_BYTES)];
    let Some(((head, framed), body_at)) = reader.find(in_bounds, read)? else { return Ok(None) };
    if framed.is_doubtful || head.status().is_informational() {
        return Err(Broken::Doubtful);
    }
    buffer.advance(body_at);
    Ok(Some((head, framed)))
}

impl Shape {
    /// Of the body behind this head. What has come whole is taken off `buffer`.
    pub(super) fn of(framed: Framed, status: StatusCode, is_head: bool, buffer: &mut BytesMut) -> Self {
        match (framed.framing, framed.length) {
            (_, Some(length)) if is_head => Self::Announced(length),
            // Whatever its length is.
            _ if is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => Self::Nothing,
            (Framing::Length(length), _) => match usize::try_from(length) {
                Ok(length) if length <= buffer.len() => Self::AtHand(buffer.split_to(length).freeze()),
                _ => Self::Coming(BodySize::Sized(length), Content::of(framed)),
            },
            (Framing::Chunked | Framing::Close, _) => Self::Coming(BodySize::Stream, Content::of(framed)),
        }
    }
}

impl Content {
    fn of(framed: Framed) -> Self {
        Self(BodyReader::new(framed.framing))
    }

    /// The next of what has come.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        while !buffer.is_empty() && !self.0.is_over() {
            let taken = self.0.take(buffer);
            let piece = buffer.split_to(taken.count);
            if taken.is_content {
                return Some(piece.freeze());
            }
        }
        None
    }

    /// What is to come after all that has come was taken.
    pub(super) fn lacks(&self) -> Lacking {
        match (self.0.is_whole(), self.0.is_over()) {
            (true, _) => Lacking::Nothing,
            (false, true) => Lacking::Coding,
            (false, false) => Lacking::Bytes,
        }
    }

    /// Whether the end of the connection is the body's.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.0.ends_with_connection()
    }
}

/// An answer as it is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedAnswer {
    /// The status.
    pub status: u16,
    /// Names and values of the headers, a body's length aside, in the order of the names.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The length that the body is said to have.
    pub length: Option<u64>,
    /// What came of the body.
    pub content: Vec<u8>,
    /// Whether the body came to its end, and is not cut off.
    pub is_whole: bool,
    /// Whether another request may follow on the connection, as far as the answer goes.
    pub keeps_alive: bool,
    /// Bytes that came behind the answer's end.
    pub behind: usize,
}

/// What is passed on of an answer that comes in these pieces, to a `HEAD` or to another request. `None` while its head is not whole.
///
/// # Errors
/// Why it is none, for people.
pub fn read_forwarded(pieces: &[&[u8]], is_head: bool) -> Result<Option<ForwardedAnswer>, String> {
    let (mut reader, mut buffer, mut pieces) = (HeadReader::default(), BytesMut::new(), pieces.iter());
    let (head, framed) = loop {
        let Some(piece) = pieces.next() else {
            return reader.ended(&buffer).map_or(Ok(None), |malformed| Err(malformed.to_string()));
        };
        buffer.extend_from_slice(piece);
        match take_head(&mut reader, &mut buffer, is_head) {
            Ok(None) => {}
            Ok(Some(found)) => break found,
            Err(Broken::Malformed(malformed)) => return Err(malformed.to_string()),
            Err(broken) => return Err(broken.to_string()),
        }
    };
    let (length, content, is_whole) = match Shape::of(framed, head.status(), is_head, &mut buffer) {
        Shape::Nothing => (None, Vec::new(), true),
        Shape::Announced(length) => (Some(length), Vec::new(), true),
        Shape::AtHand(content) => (Some(content.len() as u64), content.into(), true),
        Shape::Coming(size, content) => {
            let (content, is_whole) = read_content(content, &mut buffer, &mut pieces);
            let length = if let BodySize::Sized(length) = size { Some(length) } else { None };
            (length, content, is_whole)
        }
    };
    let headers = head.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let mut headers: Vec<(String, Vec<u8>)> = headers.collect();
    // Values of one name keep their order.
    headers.sort_by(|one, another| one.0.cmp(&another.0));
    Ok(Some(ForwardedAnswer {
        status: head.status().as_u16(),
        headers,
        length,
        content,
        is_whole,
        keeps_alive: framed.keeps_alive,
        behind: buffer.len() + pieces.map(|piece| piece.len()).sum::<usize>(),
    }))
}

/// The content, and whether that is all of it.
fn read_content<'p>(
    mut content: Content,
    buffer: &mut BytesMut,
    pieces: &mut impl Iterator<Item = &'p &'p [u8]>,
) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    loop {
        while let Some(piece) = content.next(buffer) {
            all.extend_from_slice(&piece);
        }
        match (content.lacks(), pieces.next()) {
            (Lacking::Bytes, Some(piece)) => buffer.extend_from_slice(piece),
            (Lacking::Bytes, None) => return (all, content.ends_with_connection()),
            (lacking, behind) => {
                behind.into_iter().for_each(|piece| buffer.extend_from_slice(piece));
                return (all, lacking == Lacking::Nothing);
            }
        }
    }
}
