//! Where the benchmark's webhooks go: answers at once, counts, and notes when each numbered event arrived; or, while it is
//! told to fail, refuses. Save one path, which never answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use onering_clock::Clock;

/// What stands before an event's number in its data.
pub(super) const MARKER: &str = "\"bench_number\":";

/// Where requests are never answered.
pub(super) const HANG: &str = "/hang";

#[derive(Default)]
struct Seen {
    count: AtomicU64,
    refused: AtomicU64,
    fails: AtomicBool,
    arrivals: Mutex<HashMap<u64, Instant>>,
}

/// A listening sink; it ends with the process.
pub(super) struct TargetSink {
    address: SocketAddr,
    seen: Arc<Seen>,
}

impl TargetSink {
    /// Starts listening on a free port of 127.0.0.1.
    pub(super) fn start() -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let for_server = Arc::clone(&seen);
        let server = HttpServer::new(move || {
            let seen = Arc::clone(&for_server);
            let clock = Clock::system();
            App::new().route(HANG, web::to(std::future::pending::<HttpResponse>)).default_service(web::to(
                move |body: web::Bytes| {
                    let answer = match seen.take(&body, &clock) {
                        true => HttpResponse::Ok().finish(),
                        false => HttpResponse::ServiceUnavailable().finish(),
                    };
                    async move { answer }
                },
            ))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
        let address = server.addrs().first().copied().context("the sink has no address")?;
        tokio::spawn(server.run());
        Ok(Self { address, seen })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request is answered 503, or taken again.
    pub(super) fn fail(&self, fails: bool) {
        self.seen.fails.store(fails, Ordering::Relaxed);
    }

    /// Requests taken since the start.
    pub(super) fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// Requests answered 503 since the start.
    pub(super) fn refused(&self) -> u64 {
        self.seen.refused.load(Ordering::Relaxed)
    }

    /// Different numbered events taken since the start.
    pub(super) fn numbers(&self) -> u64 {
        self.seen.arrivals().len() as u64
    }

    /// When the numbered event arrived first.
    pub(super) fn arrival(&self, number: u64) -> Option<Instant> {
        self.seen.arrivals().get(&number).copied()
    }

    /// Waits until `count` requests were taken; false when `patience` was not enough.
    pub(super) async fn wait_for(&self, count: u64, patience: Duration) -> bool {
        until(patience, || self.count() >= count).await
    }

    /// Waits until so many different numbered events were taken; false when `patience` was not enough.
    pub(super) async fn wait_for_numbers(&self, count: u64, patience: Duration) -> bool {
        until(patience, || self.numbers() >= count).await
    }
}

async fn until(patience: Duration, enough: impl Fn() -> bool) -> bool {
    let waiting = async {
        while !enough() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.is_ok()
}

impl Seen {
    /// Whether the request is taken.
    fn take(&self, body: &[u8], clock: &Clock) -> bool {
        if self.fails.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(number) = number_in(body) {
            self.arrivals().entry(number).or_insert_with(|| clock.monotonic());
        }
        true
    }

    fn arrivals(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of an event that is to be timed.
fn number_in(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = &text[text.find(MARKER)? + MARKER.len()..];
    rest[..rest.find(|character: char| !character.is_ascii_digit())?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_data() {
        assert_eq!(number_in(br#"{"data":{"bench_number":42,"x":1}}"#), Some(42));
        assert_eq!(number_in(br#"{"data":{"x":1}}"#), None);
        assert_eq!(number_in(b"\xff"), None);
    }
}
