//! What the client makes of a receiver's bytes, without a socket: for tests that send it anything at all.
//!
//! The same readers take answers apart when attempts are made.

use chrono::{DateTime, Utc};
use onering_delivery::Answer;
use onering_http_exchange::HeadReader;
use onering_signing::KeyAge;

use crate::body::SnippetReader;
use crate::head::Head;

/// An answer whose head was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAnswer {
    /// The answer, with as much of its body as came.
    pub answer: Answer,
    /// Which secret the receiver says it verified with.
    pub verified_with: Option<KeyAge>,
    /// Whether the body came to its end.
    pub is_whole: bool,
    /// Whether another request may follow on the connection, as far as the answer goes.
    pub keeps_alive: bool,
    /// Bytes taken: what follows them is nothing of this answer, or is not read.
    pub taken: usize,
}

/// Takes an answer that comes in these pieces. `None` while the head is not whole.
///
/// # Errors
/// Why it is none, for people.
pub fn read_answer(pieces: &[&[u8]], now: DateTime<Utc>) -> Result<Option<ReadAnswer>, String> {
    let (mut reader, mut come) = (HeadReader::default(), Vec::new());
    let mut pieces = pieces.iter();
    let (head, body_at) = loop {
        let Some(piece) = pieces.next() else {
            return reader.ended(&come).map_or(Ok(None), |malformed| Err(malformed.to_string()));
        };
        come.extend_from_slice(piece);
        if let Some(found) =
            reader.find(&come, |head| Head::of(&head, || now)).map_err(|malformed| malformed.to_string())?
        {
            break found;
        }
    };
    let mut body = SnippetReader::new(head.framing);
    let mut taken = body_at + body.take(&come[body_at..]);
    for piece in pieces {
        taken += body.take(piece);
    }
    let answer = Answer::Status {
        code: head.code,
        retry_after: head.retry_after,
        replay_expired: head.replay_expired,
        snippet: body.snippet(),
    };
    let (is_whole, keeps_alive) = (body.is_whole(), head.keeps_alive);
    Ok(Some(ReadAnswer { answer, verified_with: head.verified_with, is_whole, keeps_alive, taken }))
}
