//! One request and the head of its answer, on one connection and in the caller's task.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use bytes::{Buf, Bytes, BytesMut};
use onering_http_exchange::{Framed, HeadReader, Malformed, Stream, Unconnected};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, WriteHalf};

use super::unpacking::take_head;
use super::upload::{Fault, Upload};

/// How much is asked of the system at once while a head is awaited: more than most answers have.
pub(super) const READ_BYTES: usize = 8 * 1024;

/// An open connection, with what has come over it and is not done with.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its bytes.
    pub(super) stream: Stream,
    /// What has come.
    pub(super) buffer: BytesMut,
}

/// An answer whose head has come.
pub(super) struct Answering {
    /// What has come of the body is in its buffer.
    pub(super) connection: Connection,
    /// Status and headers, without a body.
    pub(super) head: HttpResponse,
    /// Where its body ends.
    pub(super) framed: Framed,
}

/// What kept an answer from coming.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// There was no connection.
    #[error(transparent)]
    Unconnected(#[from] Unconnected),
    /// The name of the upstream was not resolved.
    #[error("the name could not be resolved")]
    Unresolved(#[source] io::Error),
    /// The connection took nothing of the request.
    #[error("the connection took nothing")]
    Unsent(#[source] io::Error),
    /// The connection broke, or was closed, before a word of an answer came.
    #[error("the upstream broke off before it answered")]
    Wordless(#[source] io::Error),
    /// The connection broke within the answer's head.
    #[error("the upstream broke off within the head of its answer")]
    MidHead(#[source] io::Error),
    /// What came is no answer that can be passed on.
    #[error("the upstream's answer cannot be passed on")]
    Malformed(#[from] Malformed),
    /// Somebody else could find the answer's end elsewhere.
    #[error("the upstream's answer has no certain end")]
    Doubtful,
    /// The caller's own body.
    #[error(transparent)]
    Caller(#[from] Fault),
}

/// A request on its way out: its head, and then its body as it comes.
pub(super) struct Sending {
    /// What is to be written next: the head, a chunk's size, content, and the end of a chunk or of all.
    pieces: [Bytes; 4],
    upload: Option<Upload>,
    /// Whether the connection took any byte.
    taken: bool,
    state: SendState,
}

enum SendState {
    Writing,
    Flushing,
    Done,
    Failed(io::Error),
    Faulty(Fault),
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Sends a request and reads the head of its answer. Dropping the future closes the connection.
    ///
    /// What an upstream says before it has read everything is an answer too, so it is listened to while the request goes out.
    pub(super) async fn ask(mut self, sending: &mut Sending, is_head: bool) -> Result<Answering, Broken> {
        let mut reader = HeadReader::default();
        self.buffer.clear();
        loop {
            let came = poll_fn(|cx| {
                sending.poll(&mut self.stream, cx);
                if sending.is_given_up(&self.stream) {
                    return Poll::Ready(Ok(0));
                }
                poll_read(&mut self.stream, &mut self.buffer, READ_BYTES, cx)
            });
            match came.await {
                Ok(0) => {
                    let malformed = reader.ended(&self.buffer);
                    return Err(sending.failure(&self, None, malformed));
                }
                Ok(_) => {}
                Err(error) => return Err(sending.failure(&self, Some(error), None)),
            }
            if let Some((head, framed)) = take_head(&mut reader, &mut self.buffer, is_head)? {
                return Ok(Answering { connection: self, head, framed });
            }
        }
    }
}

impl Sending {
    /// A request with this head, which says how the upload ends. Nothing of that is asked for before the head is on its way.
    pub(super) fn new(head: Bytes, upload: Option<Upload>) -> Self {
        let pieces = [head, Bytes::new(), Bytes::new(), Bytes::new()];
        Self { pieces, upload, taken: false, state: SendState::Writing }
    }

    /// Begins anew, for another connection: what nobody has taken any of, or what has no body. What was read of the upload
    /// already is still there.
    pub(super) fn begin_anew(&mut self, head: Bytes) {
        self.pieces[0] = head;
        (self.taken, self.state) = (false, SendState::Writing);
    }

    /// Whether all of it is out.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, SendState::Done)
    }

    /// Gets on as far as caller and connection let it.
    fn poll<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) {
        loop {
            if matches!(self.state, SendState::Writing) {
                self.fill(cx);
            }
            let stream = Pin::new(&mut *stream);
            let is_empty = self.pieces.iter().all(Bytes::is_empty);
            let polled = match self.state {
                SendState::Writing if is_empty => return,
                SendState::Writing => self.poll_write(stream, cx),
                SendState::Flushing => stream.poll_flush(cx).map_ok(|()| 0),
                SendState::Done | SendState::Failed(_) | SendState::Faulty(_) => return,
            };
            self.state = match (polled, &self.state) {
                (Poll::Pending, _) => return,
                (Poll::Ready(Err(error)), _) => SendState::Failed(error),
                (Poll::Ready(Ok(0)), SendState::Writing) => SendState::Failed(io::ErrorKind::WriteZero.into()),
                (Poll::Ready(Ok(count)), SendState::Writing) => {
                    self.taken(count);
                    continue;
                }
                (Poll::Ready(Ok(_)), _) => SendState::Done,
            };
        }
    }

    fn poll_write<S: AsyncWrite>(&self, stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &self.pieces {
            [head, size, content, end] if size.is_empty() && content.is_empty() && end.is_empty() => {
                stream.poll_write(cx, head)
            }
            pieces => stream.poll_write_vectored(cx, &pieces.each_ref().map(|piece| IoSlice::new(piece))),
        }
    }

    /// Asks for more content where there is none to write: beside the head too, so that a short request is one write.
    fn fill(&mut self, cx: &mut Context<'_>) {
        let [head, size, content, end] = &self.pieces;
        let is_between = size.is_empty() && content.is_empty() && end.is_empty();
        let Some(upload) = &mut self.upload else {
            if is_between && head.is_empty() {
                self.state = SendState::Flushing;
            }
            return;
        };
        if !is_between {
            return;
        }
        let is_chunked = upload.is_chunked();
        match upload.poll_next(cx) {
            Poll::Pending => {}
            Poll::Ready(Some(Err(fault))) => self.state = SendState::Faulty(fault),
            Poll::Ready(Some(Ok(chunk))) => {
                if is_chunked {
                    self.pieces[1] = format!("{:x}\r\n", chunk.len()).into();
                    self.pieces[3] = Bytes::from_static(b"\r\n");
                }
                self.pieces[2] = chunk;
            }
            Poll::Ready(None) => {
                if is_chunked {
                    self.pieces[3] = Bytes::from_static(b"0\r\n\r\n");
                }
                self.upload = None;
            }
        }
    }

    fn taken(&mut self, mut count: usize) {
        self.taken = true;
        for piece in &mut self.pieces {
            let of_this = count.min(piece.len());
            piece.advance(of_this);
            count -= of_this;
        }
    }

    /// Whether there is no use in waiting for an answer.
    fn is_given_up(&self, stream: &Stream) -> bool {
        match self.state {
            SendState::Faulty(_) => true,
            SendState::Failed(_) => !self.taken && stream.tells_what_it_took(),
            SendState::Writing | SendState::Flushing | SendState::Done => false,
        }
    }

    /// Why there is no answer.
    fn failure(&mut self, over: &Connection, reading: Option<io::Error>, malformed: Option<Malformed>) -> Broken {
        let is_given_up = self.is_given_up(&over.stream);
        let reading = reading.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
        match (std::mem::replace(&mut self.state, SendState::Writing), malformed) {
            (SendState::Faulty(fault), _) => Broken::Caller(fault),
            (SendState::Failed(error), _) if is_given_up => Broken::Unsent(error),
            (_, Some(malformed)) => Broken::Malformed(malformed),
            (SendState::Failed(error), _) if over.buffer.is_empty() => Broken::Wordless(error),
            _ if over.buffer.is_empty() => Broken::Wordless(reading),
            _ => Broken::MidHead(reading),
        }
    }

    /// Sends what is left while the answer is passed on already. A body that ends before its end is cut off, so that it does
    /// not look whole.
    pub(super) async fn finish(mut self, mut stream: WriteHalf<Stream>) {
        poll_fn(|cx| {
            self.poll(&mut stream, cx);
            let is_over = matches!(self.state, SendState::Done | SendState::Failed(_) | SendState::Faulty(_));
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if matches!(self.state, SendState::Faulty(_)) {
            // Best effort: it is closed anyway once the answer ends.
            let _ = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
        }
    }
}

/// Reads what is there, behind what the buffer holds, making room for `at_least` bytes; answers how many came.
pub(super) fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    at_least: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if buffer.capacity() - buffer.len() < at_least / 4 {
        buffer.reserve(at_least);
    }
    pin!(stream.read_buf(buffer)).poll(cx)
}
