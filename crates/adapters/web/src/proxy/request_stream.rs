//! The body on its way in: from an actix payload, which stays on its thread, to a stream that reqwest can send from any.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use onering_problem::{Code, Problem};
use tokio::sync::mpsc;

use crate::request_body::too_large;

/// Chunks in flight between the two sides: enough to keep both busy, too few to be a buffer.
const CHUNKS: usize = 4;

/// Why the body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("the body is over the cap")]
    TooLarge = 1,
    #[error("the client broke off")]
    BrokenOff = 2,
}

/// A request's body that is being passed on.
pub(super) struct RequestStream {
    chunks: Arc<Mutex<mpsc::Receiver<Result<Bytes, Fault>>>>,
    fault: Arc<AtomicU8>,
    cap: usize,
}

impl RequestStream {
    /// Begins to read the body, at most `cap` bytes of it. Reading ends when nobody wants the chunks any more.
    pub(super) fn start(payload: web::Payload, cap: usize) -> Self {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let fault = Arc::new(AtomicU8::new(0));
        actix_web::rt::spawn(pump(payload, cap, sender, Arc::clone(&fault)));
        Self { chunks: Arc::new(Mutex::new(receiver)), fault, cap }
    }

    /// The body for one try. A try that could not connect has taken nothing of it, so the next may have it whole.
    pub(super) fn body(&self) -> reqwest::Body {
        reqwest::Body::wrap_stream(chunks(Arc::clone(&self.chunks)))
    }

    /// What the caller did wrong, where that is why the upstream did not get a whole request.
    pub(super) fn problem(&self) -> Option<Problem> {
        match self.fault.load(Ordering::Acquire) {
            fault if fault == Fault::TooLarge as u8 => Some(too_large(self.cap)),
            fault if fault == Fault::BrokenOff as u8 => {
                Some(Problem::new(Code::MalformedRequest).detail("The body broke off before its end."))
            }
            _ => None,
        }
    }
}

fn chunks(receiver: Arc<Mutex<mpsc::Receiver<Result<Bytes, Fault>>>>) -> impl Stream<Item = Result<Bytes, Fault>> {
    stream::poll_fn(move |context| receiver.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(context))
}

async fn pump(mut payload: web::Payload, cap: usize, sender: mpsc::Sender<Result<Bytes, Fault>>, fault: Arc<AtomicU8>) {
    let mut room = cap;
    loop {
        // The upstream may have answered, or failed, without reading to the end.
        let chunk = tokio::select! {
            chunk = payload.next() => chunk,
            () = sender.closed() => return,
        };
        let (passed_on, last) = match chunk {
            None => return,
            Some(Ok(chunk)) if chunk.len() <= room => {
                room -= chunk.len();
                (Ok(chunk), false)
            }
            Some(Ok(_)) => (Err(Fault::TooLarge), true),
            Some(Err(_)) => (Err(Fault::BrokenOff), true),
        };
        if let Err(found) = passed_on {
            fault.store(found as u8, Ordering::Release);
        }
        if sender.send(passed_on).await.is_err() || last {
            return;
        }
    }
}
