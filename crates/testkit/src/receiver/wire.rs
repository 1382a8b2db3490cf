//! Reading a request off the wire, byte for byte.

use std::io::{Error, ErrorKind, Result};
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// More than any test sends.
const HEAD_MAX: usize = 1 << 20;
const BODY_MAX: usize = 64 << 20;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// `POST`.
    pub method: String,
    /// Path and query, as on the request line.
    pub path: String,
    /// Names and values in order, names as written, values trimmed.
    pub headers: Vec<(String, String)>,
    /// The raw body, out of its transfer coding.
    pub body: Vec<u8>,
    /// When it had arrived whole, by the wall clock.
    pub at: SystemTime,
    /// When it had arrived whole, for measuring distances.
    pub instant: Instant,
}

impl Received {
    /// The first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is no JSON ({error}): {}", self.summary()))
    }

    /// The body as text, with replacement characters where it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Request line and the beginning of the body, for messages.
    pub(super) fn summary(&self) -> String {
        let body: String = self.text().chars().take(120).collect();
        format!("{} {} {body}", self.method, self.path)
    }
}

/// A request without its time of arrival.
pub(super) struct Parts {
    method: String,
    path: String,
    version: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Parts {
    pub(super) fn asks_to_close(&self) -> bool {
        let wish = find(&self.headers, "connection").unwrap_or_default();
        wish.eq_ignore_ascii_case("close") || self.version == "HTTP/1.0"
    }

    pub(super) fn into_received(self, at: SystemTime, instant: Instant) -> Received {
        Received { method: self.method, path: self.path, headers: self.headers, body: self.body, at, instant }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(this, _)| this.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The next request of the connection; `None` when the client has closed it between requests.
pub(super) async fn read_request(stream: &mut BufReader<TcpStream>) -> Result<Option<Parts>> {
    let Some(first) = read_line(stream).await? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid("request line"));
    };
    let mut headers = Vec::new();
    let mut size = 0;
    loop {
        let line = read_line(stream).await?.ok_or_else(|| invalid("header"))?;
        if line.is_empty() {
            break;
        }
        size += line.len();
        let (name, value) = line.split_once(':').filter(|_| size < HEAD_MAX).ok_or_else(|| invalid("header"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if find(&headers, "expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = read_body(stream, &headers).await?;
    Ok(Some(Parts { method, path, version, headers, body }))
}

async fn read_body(stream: &mut BufReader<TcpStream>, headers: &[(String, String)]) -> Result<Vec<u8>> {
    if find(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return read_chunks(stream).await;
    }
    let length = find(headers, "content-length").unwrap_or("0").parse().map_err(|_| invalid("content-length"))?;
    read_exactly(stream, length).await
}

async fn read_chunks(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream).await?.ok_or_else(|| invalid("chunk"))?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| invalid("chunk size"))?;
        if size == 0 {
            // Trailers, up to the empty line.
            while read_line(stream).await?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        body.extend(read_exactly(stream, size).await?);
        if body.len() > BODY_MAX || !read_line(stream).await?.is_some_and(|line| line.is_empty()) {
            return Err(invalid("chunk"));
        }
    }
}

async fn read_exactly(stream: &mut BufReader<TcpStream>, length: usize) -> Result<Vec<u8>> {
    if length > BODY_MAX {
        return Err(invalid("length"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A line without its end; `None` at the end of the stream.
async fn read_line(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(HEAD_MAX as u64).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).ok_or_else(|| invalid("line"))?;
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| invalid("line"))
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the client sent an invalid {what}"))
}
