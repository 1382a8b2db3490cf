//! The answer on its way out.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody, SizedStream};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use onering_http_exchange::{Origin, Stream};
use tokio::io::ReadHalf;
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;

use super::exchange::{Answering, Connection, Sending, poll_read};
use super::pool::Pool;
use super::unpacking::{Content, Lacking, Shape};
use crate::request_scope::Verbatim;

/// How much is asked of the system at once while a body is passed on.
const READ_BYTES: usize = 32 * 1024;

/// Why an answer ended before its end. The client's connection is closed then: it sees that something is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenAnswer {
    #[error("the upstream broke off")]
    Upstream(#[source] io::Error),
    #[error("the upstream's chunks are none")]
    Chunks,
    #[error("the upstream sent nothing for {} s", .0.as_secs_f32())]
    Silent(Duration),
}

/// Where a connection goes when its answer is read to the end.
#[derive(Clone)]
pub(super) struct Home {
    /// The thread's connections.
    pub(super) pool: Rc<Pool>,
    /// Whom it is to.
    pub(super) origin: Arc<Origin>,
}

/// A body that is passed on as it comes. It may be as long as it likes, but never silent longer than `silence`.
struct AnswerBody {
    source: Option<Source>,
    buffer: BytesMut,
    content: Content,
    size: BodySize,
    /// Where the connection goes, if another request may follow on it.
    home: Option<Home>,
    silence: Duration,
    /// Runs while nothing comes.
    patience: Option<Pin<Box<Sleep>>>,
}

/// What a body is read from.
enum Source {
    /// A connection that took the whole request.
    Whole(Stream),
    /// One that is still taking it, in a task that ends with the answer.
    Half(ReadHalf<Stream>, #[expect(dead_code, reason = "dropped with the answer")] AbortOnDropHandle<()>),
}

/// Passes an upstream's answer on. What came whole with its head is one piece, and its connection is free at once.
pub(super) fn passed_on(
    answering: Answering,
    sending: Sending,
    home: Home,
    silence: Duration,
    is_head: bool,
) -> HttpResponse {
    let Answering { mut connection, head, framed } = answering;
    let home = (framed.keeps_alive && sending.is_done()).then_some(home);
    let body = match Shape::of(framed, head.status(), is_head, &mut connection.buffer) {
        Shape::Nothing => {
            finish(connection, home);
            BoxBody::new(())
        }
        Shape::Announced(length) => {
            finish(connection, home);
            BoxBody::new(SizedStream::new(length, stream::empty::<Result<Bytes, io::Error>>()))
        }
        Shape::AtHand(content) => {
            finish(connection, home);
            BoxBody::new(content)
        }
        Shape::Coming(size, content) => {
            let Connection { stream, buffer } = connection;
            let source = Some(Source::of(stream, sending));
            BoxBody::new(AnswerBody { source, buffer, content, size, home, silence, patience: None })
        }
    };
    let mut response = head.set_body(body);
    response.extensions_mut().insert(Verbatim);
    response
}

/// Keeps a connection whose answer came to its end, unless more came than that.
fn finish(connection: Connection, home: Option<Home>) {
    if let Some(home) = home.filter(|_| connection.buffer.is_empty()) {
        home.pool.put(&home.origin, connection);
    }
}

impl Source {
    fn of(stream: Stream, sending: Sending) -> Self {
        if sending.is_done() {
            return Self::Whole(stream);
        }
        let (read, write) = tokio::io::split(stream);
        Self::Half(read, AbortOnDropHandle::new(actix_web::rt::spawn(sending.finish(write))))
    }

    fn poll_read(&mut self, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Whole(stream) => poll_read(stream, buffer, READ_BYTES, cx),
            Self::Half(half, _) => poll_read(half, buffer, READ_BYTES, cx),
        }
    }
}

impl AnswerBody {
    /// Lets go of the connection of a body that is whole.
    fn finish(&mut self) {
        if let (Some(Source::Whole(stream)), home) = (self.source.take(), self.home.take()) {
            finish(Connection { stream, buffer: std::mem::take(&mut self.buffer) }, home);
        }
    }

    /// Waits for more, but not for ever. `false`: that was the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BrokenAnswer>> {
        let Some(source) = &mut self.source else { return Poll::Ready(Ok(false)) };
        let Poll::Ready(read) = source.poll_read(&mut self.buffer, cx) else {
            let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.silence)));
            ready!(patience.as_mut().poll(cx));
            return Poll::Ready(Err(BrokenAnswer::Silent(self.silence)));
        };
        self.patience = None;
        Poll::Ready(match read.map_err(BrokenAnswer::Upstream)? {
            0 if self.content.ends_with_connection() => Ok(false),
            0 => Err(BrokenAnswer::Upstream(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(true),
        })
    }
}

impl MessageBody for AnswerBody {
    type Error = BrokenAnswer;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenAnswer>>> {
        let this = self.get_mut();
        loop {
            let content = this.content.next(&mut this.buffer);
            let lacking = this.content.lacks();
            if lacking == Lacking::Nothing {
                this.finish();
            }
            if let Some(content) = content {
                return Poll::Ready(Some(Ok(content)));
            }
            if this.source.is_none() {
                return Poll::Ready(None);
            }
            if lacking == Lacking::Coding {
                this.source = None;
                return Poll::Ready(Some(Err(BrokenAnswer::Chunks)));
            }
            match ready!(this.poll_more(cx)) {
                Ok(true) => {}
                Ok(false) => this.source = None,
                Err(error) => {
                    this.source = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("size", &self.size).field("content", &self.content).finish_non_exhaustive()
    }
}
