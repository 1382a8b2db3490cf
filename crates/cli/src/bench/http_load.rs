//! A closed loop of HTTP/1.1 requests over kept connections, cheap enough that it measures the server and not itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use onering_clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as it goes over the wire.
#[derive(Clone)]
pub(super) struct WireRequest(Vec<u8>);

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
        Self(wire)
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
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer whole; answers the status.
    pub(super) async fn call(&mut self, request: &WireRequest) -> anyhow::Result<u16> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let (status, length) = read_head(&self.buffer[..head])?;
                while self.buffer.len() < head + 4 + length {
                    ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the answer broke off");
                }
                return Ok(status);
            }
        }
    }
}

/// Status and body length of an answer's head.
fn read_head(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse())?;
    Ok((status, length))
}

/// Sends requests over `connections` for `duration` and answers how many a second were answered with `expected`. `request`
/// makes the n-th request of a connection.
pub(super) async fn closed_loop(
    address: SocketAddr,
    connections: u16,
    duration: Duration,
    expected: u16,
    request: impl Fn(u16) -> WireRequest,
) -> anyhow::Result<f64> {
    let clock = Clock::system();
    let started = clock.monotonic();
    let until = started + duration;
    let mut loops = tokio::task::JoinSet::new();
    for number in 0..connections {
        loops.spawn(one_loop(clock.clone(), address, request(number), until, expected));
    }
    let mut answered = 0_u64;
    while let Some(result) = loops.join_next().await {
        answered += result??;
    }
    let elapsed = clock.monotonic().saturating_duration_since(started);
    Ok(answered as f64 / elapsed.as_secs_f64())
}

async fn one_loop(
    clock: Clock,
    address: SocketAddr,
    request: WireRequest,
    until: Instant,
    expected: u16,
) -> anyhow::Result<u64> {
    let mut connection = Connection::open(address).await?;
    let mut answered = 0;
    while clock.monotonic() < until {
        let status = connection.call(&request).await?;
        ensure!(status == expected, "answered {status}, not {expected}");
        answered += 1;
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        assert_eq!(read_head(b"HTTP/1.1 202 Accepted\r\ncontent-length: 17\r\nx: y").unwrap(), (202, 17));
        assert_eq!(read_head(b"HTTP/1.1 204 No Content\r\nx: y").unwrap(), (204, 0));
        assert!(read_head(b"garbage").is_err());
    }
}
