//! [`Upload`]: the body on its way in.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::web;
use bytes::Bytes;
use futures_util::Stream;
use onering_problem::{Code, Problem};

use crate::request_body::too_large;

/// A request's body that is being passed on.
pub(super) struct Upload {
    payload: web::Payload,
    cap: usize,
    /// Bytes that may still come.
    room: u64,
    /// The length the upstream was told; `None`: it comes in chunks.
    announced: Option<u64>,
}

/// Why the body ended before its end: the caller's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// More came than is passed on.
    #[error("the body is over the cap of {0} bytes")]
    TooLarge(usize),
    /// Less came than was announced, or what came was no body.
    #[error("the client broke off")]
    BrokenOff,
}

impl Upload {
    /// A body of which at most `cap` bytes are passed on. Nothing is read before it is asked for.
    pub(super) fn new(payload: web::Payload, announced: Option<u64>, cap: usize) -> Self {
        Self { payload, cap, room: announced.unwrap_or(cap as u64), announced }
    }

    /// Whether it goes out in chunks.
    pub(super) const fn is_chunked(&self) -> bool {
        self.announced.is_none()
    }

    /// The next piece, which is never empty; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            let came = match Pin::new(&mut self.payload).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(came) => came,
            };
            return Poll::Ready(match came {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => Some(self.within_room(chunk)),
                // What was announced and did not come would be taken from the next request on the connection.
                None if self.announced.is_some() && self.room > 0 => Some(Err(Fault::BrokenOff)),
                None => None,
                Some(Err(_)) => Some(Err(Fault::BrokenOff)),
            });
        }
    }

    fn within_room(&mut self, chunk: Bytes) -> Result<Bytes, Fault> {
        self.room = self.room.checked_sub(chunk.len() as u64).ok_or(Fault::TooLarge(self.cap))?;
        Ok(chunk)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge(cap) => too_large(cap),
            Fault::BrokenOff => Self::new(Code::MalformedRequest).detail("The body broke off before its end."),
        }
    }
}
