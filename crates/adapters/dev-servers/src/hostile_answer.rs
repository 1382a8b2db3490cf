//! Answers that mean harm: what a receiver may send in place of HTTP, byte for byte. Nobody who sends to one may be harmed by
//! it; the fault suite and the benchmark try that.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// An answer that is none, or has no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostileAnswer {
    /// The connection is closed without one.
    Nothing,
    /// Exactly these bytes, HTTP or not; then the connection is closed.
    Raw(Vec<u8>),
    /// `head` at once and then `bytes`, one every `pause`; then the connection is closed.
    Drip {
        /// What comes at once.
        head: Vec<u8>,
        /// What comes slowly.
        bytes: Vec<u8>,
        /// The time after each.
        pause: Duration,
    },
    /// `head` once and then `chunk` until the client goes away.
    Endless {
        /// What comes first.
        head: Vec<u8>,
        /// What comes again and again.
        chunk: Vec<u8>,
    },
}

impl HostileAnswer {
    /// One of each kind that is known to have harmed somebody.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let pause = Duration::from_millis(50);
        let raw = |bytes: String| Self::Raw(bytes.into_bytes());
        let drip = |head: &str, bytes: String| Self::Drip { head: head.into(), bytes: bytes.into_bytes(), pause };
        let endless = |head: &str| Self::Endless { head: head.into(), chunk: vec![b'x'; 64 << 10] };
        vec![
            // Bodies and heads without end.
            endless("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"),
            endless("HTTP/1.1 200 OK\r\nX-Endless: "),
            // A byte now and then, of the head and of the body.
            drip("", "HTTP/1.1 200 OK\r\nX-Slow: yes\r\n".repeat(100)),
            drip("HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n", "x".repeat(1_000)),
            // A megabyte of headers in one, and a thousand of them.
            raw(format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\n\r\n", "x".repeat(1 << 20))),
            raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(1_000))),
            // No HTTP at all, a length beyond every number, and a connection that breaks.
            Self::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
            Self::Raw(vec![0; 64 << 10]),
            Self::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n".to_vec()),
            Self::Nothing,
        ]
    }

    /// The wish to be asked again in millions of years. Whoever grants a part of it waits for long, so it is not among
    /// [`Self::all`].
    #[must_use]
    pub fn patience() -> Self {
        Self::Raw(b"HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n".to_vec())
    }

    /// Gives it; returns when it is at its end. The connection is to be closed then.
    ///
    /// # Errors
    /// When the client has gone away.
    pub async fn give(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        match self {
            Self::Nothing => return Ok(()),
            Self::Raw(bytes) => stream.write_all(bytes).await?,
            Self::Drip { head, bytes, pause } => {
                stream.write_all(head).await?;
                for byte in bytes {
                    stream.write_all(std::slice::from_ref(byte)).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Self::Endless { head, chunk } => {
                stream.write_all(head).await?;
                loop {
                    stream.write_all(chunk).await?;
                }
            }
        }
        stream.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn given(answer: HostileAnswer, enough: usize) -> Vec<u8> {
        let (client, mut server) = tokio::io::duplex(1024);
        let giving = tokio::spawn(async move { answer.give(&mut server).await });
        let mut bytes = Vec::new();
        client.take(enough as u64).read_to_end(&mut bytes).await.unwrap();
        // The client is gone: what has no end ends as well.
        giving.await.unwrap().ok();
        bytes
    }

    #[tokio::test]
    async fn answers_are_given_byte_for_byte() {
        let raw = given(HostileAnswer::Raw(b"abc".to_vec()), 10).await;
        let pause = Duration::from_millis(1);
        let drip = given(HostileAnswer::Drip { head: b"a".to_vec(), bytes: b"bc".to_vec(), pause }, 10).await;
        let endless = given(HostileAnswer::Endless { head: b"a".to_vec(), chunk: b"bc".to_vec() }, 4_001).await;
        assert_eq!((&raw[..], &drip[..]), (&b"abc"[..], &b"abc"[..]));
        assert!(endless.len() == 4_001 && endless.ends_with(b"bc"));
        assert!(given(HostileAnswer::Nothing, 10).await.is_empty());
    }
}
