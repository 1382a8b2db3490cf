//! A receiver that answers with malice, whatever it is sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onering_dev_servers::HostileAnswer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A listening one; it ends when dropped, with every connection.
pub(super) struct HostileReceiver {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl HostileReceiver {
    /// Starts listening on a free port of 127.0.0.1.
    pub(super) async fn start(answer: HostileAnswer) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, answer, Arc::clone(&asked)));
        Ok(Self { address, asked, accepting })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests taken since the start.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        // Its connections are in a set it owns, and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, answer: HostileAnswer, asked: Arc<AtomicU64>) {
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            read_request(&mut stream).await?;
            asked.fetch_add(1, Ordering::Relaxed);
            answer.give(&mut stream).await
        });
    }
}

/// Reads one request whole: a connection that is closed over unread bytes is reset, and the answer with it.
async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await.map(drop)
}
