//! What the receiver answers.

use std::fmt::Write;
use std::time::Duration;

use onering_dev_servers::HostileAnswer;

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) manner: Manner,
}

/// How an answer is given.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// As HTTP wants it.
    Proper,
    /// Never, with the connection left open.
    Hang,
    /// As no client likes it, then closing.
    Hostile(HostileAnswer),
}

impl Reply {
    /// An answer with this status and no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO, manner: Manner::Proper }
    }

    /// A redirect to `location`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    /// An answer with `Retry-After`: seconds or an HTTP date.
    #[must_use]
    pub fn retry_after(status: u16, value: &str) -> Self {
        Self::status(status).header("Retry-After", value)
    }

    /// No answer; the connection stays open.
    #[must_use]
    pub fn hang() -> Self {
        Self { manner: Manner::Hang, ..Self::status(200) }
    }

    /// No answer; the connection is closed.
    #[must_use]
    pub fn disconnect() -> Self {
        Self::hostile(HostileAnswer::Nothing)
    }

    /// Exactly these bytes, HTTP or not; then the connection is closed.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::hostile(HostileAnswer::Raw(bytes.into()))
    }

    /// `head` at once and then `bytes`, one every `pause`; then the connection is closed.
    #[must_use]
    pub fn drip(head: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self::hostile(HostileAnswer::Drip { head: head.into(), bytes: bytes.into(), pause })
    }

    /// `head` once and then `chunk` until the client goes away.
    #[must_use]
    pub fn endless(head: impl Into<Vec<u8>>, chunk: impl Into<Vec<u8>>) -> Self {
        Self::hostile(HostileAnswer::Endless { head: head.into(), chunk: chunk.into() })
    }

    /// An answer that means harm.
    #[must_use]
    pub fn hostile(answer: HostileAnswer) -> Self {
        Self { manner: Manner::Hostile(answer), ..Self::status(200) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Answers only after this time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The proper answer on the wire.
    pub(super) fn bytes(&self, close: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !matches!(self.status, 100..200 | 204 | 304) {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        head.push_str(if close { "Connection: close\r\n\r\n" } else { "\r\n" });
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
