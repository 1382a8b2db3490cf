//! One request and its answer, on one connection and in the caller's task.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BufMut as _;
use chrono::{DateTime, Utc};
use onering_delivery::Snippet;
use onering_http_exchange::{HeadReader, MOST_HEAD_BYTES, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

use crate::body::SnippetReader;
use crate::failure::Broken;
use crate::head::Head;

/// How much is asked of the system at once: more than most answers have.
const READ_BYTES: usize = 4 * 1024;
/// How long a body may take once the head is there: the delivery's fate is known by then, and a receiver that drips
/// would only hold its place.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// An open connection with the place its answers are read to.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// What has come and is not done with.
    buffer: Vec<u8>,
}

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Answering {
    connection: Connection,
    /// The head.
    pub(crate) head: Head,
    /// Where the body begins in the buffer.
    body_at: usize,
    /// Whether the request went out whole.
    asked_whole: bool,
}

/// A request on its way out.
struct Sending<'a> {
    pieces: [&'a [u8]; 2],
    /// Bytes the connection took.
    taken: usize,
    state: SendState,
}

enum SendState {
    Writing,
    Flushing,
    Done,
    Failed(io::Error),
}

impl Connection {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Whether another request may go over it.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Sends a request and reads the head of its answer. Dropping the future closes the connection.
    ///
    /// What a receiver says before it has read everything is an answer too, so it is listened to while the request goes out.
    pub(crate) async fn ask(
        mut self,
        request: [&[u8]; 2],
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<Answering, Broken> {
        let mut sending = Sending { pieces: request, taken: 0, state: SendState::Writing };
        let mut reader = HeadReader::default();
        self.buffer.clear();
        loop {
            let came = poll_fn(|cx| {
                sending.poll(&mut self.stream, cx);
                if sending.is_refused(&self.stream) {
                    return Poll::Ready(Ok(0));
                }
                let room = MOST_HEAD_BYTES - self.buffer.len();
                poll_read(&mut self.stream, &mut self.buffer, room, cx)
            });
            match came.await {
                Ok(0) => {
                    let malformed = reader.ended(&self.buffer).map(Broken::Malformed);
                    return Err(malformed.or_else(|| sending.failure(&self.stream)).unwrap_or(Broken::Closed));
                }
                Ok(_) => {}
                Err(error) => return Err(sending.failure(&self.stream).unwrap_or(Broken::Exchange(error))),
            }
            if let Some((head, body_at)) = reader.find(&self.buffer, |head| Head::of(&head, &now))? {
                let asked_whole = matches!(sending.state, SendState::Done);
                return Ok(Answering { connection: self, head, body_at, asked_whole });
            }
        }
    }
}

impl Answering {
    /// Reads the body. It is for people: what has come of it within the bounds of size and time is kept, and a body that
    /// breaks off changes nothing. The connection is answered if another request may go over it, and is closed otherwise:
    /// nobody has to drain it.
    pub(crate) async fn finish(self, patience: Duration) -> (Snippet, Option<Connection>) {
        let Self { connection: Connection { mut stream, mut buffer }, head, body_at, asked_whole } = self;
        let mut body = SnippetReader::new(head.framing);
        let mut rest = buffer.len() - body_at;
        rest -= body.take(&buffer[body_at..]);
        if !body.is_over() {
            let reading = async {
                while !body.is_over() {
                    buffer.clear();
                    match poll_fn(|cx| poll_read(&mut stream, &mut buffer, READ_BYTES, cx)).await {
                        Ok(0) | Err(_) => break,
                        Ok(came) => rest = came - body.take(&buffer),
                    }
                }
            };
            // Late or not, what has come is kept.
            let _in_time = tokio::time::timeout(patience.min(BODY_PATIENCE), reading).await;
        }
        let may_follow = body.is_whole() && rest == 0 && head.keeps_alive && asked_whole;
        buffer.clear();
        buffer.shrink_to(READ_BYTES);
        (body.snippet(), may_follow.then_some(Connection { stream, buffer }))
    }
}

impl Sending<'_> {
    /// Gets on as far as the connection takes it.
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) {
        loop {
            let stream = Pin::new(&mut *stream);
            let polled = match self.state {
                SendState::Writing => stream.poll_write_vectored(cx, &self.left()),
                SendState::Flushing => stream.poll_flush(cx).map_ok(|()| 0),
                SendState::Done | SendState::Failed(_) => return,
            };
            self.state = match (polled, &self.state) {
                (Poll::Pending, _) => return,
                (Poll::Ready(Err(error)), _) => SendState::Failed(error),
                (Poll::Ready(Ok(0)), SendState::Writing) => SendState::Failed(io::ErrorKind::WriteZero.into()),
                (Poll::Ready(Ok(taken)), SendState::Writing) => {
                    self.taken += taken;
                    let is_all = self.taken == self.pieces[0].len() + self.pieces[1].len();
                    if is_all { SendState::Flushing } else { SendState::Writing }
                }
                (Poll::Ready(Ok(_)), _) => SendState::Done,
            };
        }
    }

    /// What is still to be written, in one piece for each of the request's.
    fn left(&self) -> [IoSlice<'_>; 2] {
        let [head, body] = self.pieces;
        let of_head = self.taken.min(head.len());
        [IoSlice::new(&head[of_head..]), IoSlice::new(&body[self.taken - of_head..])]
    }

    /// Whether the connection broke without taking anything.
    fn is_refused(&self, stream: &Stream) -> bool {
        matches!(self.state, SendState::Failed(_)) && self.taken == 0 && stream.tells_what_it_took()
    }

    /// Why it did not go out, if that is so.
    fn failure(self, stream: &Stream) -> Option<Broken> {
        let is_refused = self.is_refused(stream);
        let SendState::Failed(error) = self.state else { return None };
        Some(if is_refused { Broken::Unsent(error) } else { Broken::Exchange(error) })
    }
}

/// Reads what is there, at most `room` bytes, behind what the buffer holds; answers how many bytes came.
fn poll_read(stream: &mut Stream, buffer: &mut Vec<u8>, room: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
        buffer.reserve(READ_BYTES);
    }
    pin!(stream.read_buf(&mut buffer.limit(room))).poll(cx)
}

#[cfg(test)]
mod tests;
