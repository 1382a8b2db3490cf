//! HTTP/1.1 over kept connections, with requests that are made beforehand: cheap enough to measure the server and not itself.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Room for an answer; a longer one gets more.
const ROOM: usize = 16 * 1024;
/// Who does not take a request or answer it for so long never will.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it goes over the wire. Clones share its bytes.
#[derive(Clone)]
pub(super) struct WireRequest(Arc<[u8]>);

impl WireRequest {
    /// A request with these headers (each line without its end) and this body.
    pub(super) fn new(method: &str, path: &str, host: SocketAddr, headers: &[String], body: &[u8]) -> Self {
        let mut wire = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in headers {
            wire.push_str(header);
            wire.push_str("\r\n");
        }
        wire.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut wire = wire.into_bytes();
        wire.extend_from_slice(body);
        Self(wire.into())
    }
}

/// One kept connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(ROOM) })
    }

    /// Sends a request and reads its answer whole; answers the status.
    pub(super) async fn call(&mut self, request: &WireRequest) -> anyhow::Result<u16> {
        Ok(self.exchange(request).await?.status)
    }

    /// The same for an answer of 200 whose body matters.
    pub(super) async fn body(&mut self, request: &WireRequest) -> anyhow::Result<&[u8]> {
        let answer = self.exchange(request).await?;
        ensure!(answer.status == 200, "answered {}, not 200", answer.status);
        Ok(&self.buffer[answer.body..])
    }

    /// Bytes of the last answer: its head, and its body.
    pub(super) async fn sizes(&mut self, request: &WireRequest) -> anyhow::Result<(usize, usize)> {
        let answer = self.exchange(request).await?;
        ensure!(answer.status == 200, "answered {}, not 200", answer.status);
        Ok((answer.body, self.buffer.len() - answer.body))
    }

    async fn exchange(&mut self, request: &WireRequest) -> anyhow::Result<WholeAnswer> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some(answer) = whole_answer(&self.buffer)? {
                return Ok(answer);
            }
        }
    }
}

/// The same on a thread that waits for many, which learns of an answer without a runtime in between.
pub(super) struct WaitingConnection {
    stream: std::net::TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl WaitingConnection {
    pub(super) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = std::net::TcpStream::connect(address).with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; ROOM], filled: 0 })
    }

    /// Sends a request. The answer to the one before has come.
    pub(super) fn ask(&mut self, request: &WireRequest) -> anyhow::Result<()> {
        self.filled = 0;
        Ok(self.stream.write_all(&request.0)?)
    }

    /// Reads what has come of the answer, once; its status when that was the last of it.
    pub(super) fn hear(&mut self) -> anyhow::Result<Option<u16>> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        ensure!(read > 0, "the server closed the connection");
        self.filled += read;
        Ok(whole_answer(&self.buffer[..self.filled])?.map(|answer| answer.status))
    }
}

impl AsFd for WaitingConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// An answer that has come whole.
#[derive(Debug, PartialEq, Eq)]
struct WholeAnswer {
    status: u16,
    /// Where its body begins.
    body: usize,
}

/// The answer in these bytes; `None` while some of it is still to come.
fn whole_answer(bytes: &[u8]) -> anyhow::Result<Option<WholeAnswer>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (status, length) = read_head(&bytes[..head])?;
    let body = head + 4;
    let whole = match length {
        Some(length) => bytes.len() >= body + length,
        // In chunks, of which the last is empty.
        None => bytes[body..].ends_with(b"\r\n0\r\n\r\n"),
    };
    Ok(whole.then_some(WholeAnswer { status, body }))
}

/// Status and body length of an answer's head; without a length when the body comes in chunks.
fn read_head(head: &[u8]) -> anyhow::Result<(u16, Option<usize>)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let mut length = Some(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = None;
        }
    }
    Ok((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Option<WholeAnswer> {
        whole_answer(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head = "HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\nx: y\r\n\r\n";
        assert_eq!(answer(&head[..head.len() - 1]), None);
        assert_eq!(answer(&format!("{head}bod")), None);
        assert_eq!(answer(&format!("{head}body")), Some(WholeAnswer { status: 202, body: head.len() }));
        assert_eq!(answer("HTTP/1.1 204 No Content\r\nx: y\r\n\r\n").unwrap().status, 204);
        assert!(whole_answer(b"garbage\r\n\r\n").is_err());
    }

    #[test]
    fn an_answer_in_chunks_ends_with_an_empty_one() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(answer(&format!("{head}4\r\nbody\r\n")), None);
        assert_eq!(answer(&format!("{head}4\r\nbody\r\n0\r\n\r\n")).unwrap().status, 200);
    }
}
