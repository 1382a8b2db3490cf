//! Load as fast as it is answered: each connection sends its next request when it has the answer to the last. On a thread of
//! its own, so that it costs one processor core at most and shares no runtime with what is measured beside it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::http_load::{Connection, WireRequest};

/// What is sent where.
pub(super) struct Load {
    pub(super) address: SocketAddr,
    /// For each connection the requests it sends in turn.
    pub(super) requests: Vec<Vec<WireRequest>>,
    pub(super) duration: Duration,
    /// The status of every answer.
    pub(super) expected: u16,
}

impl Load {
    /// The same request over each of so many connections.
    pub(super) fn same(
        address: SocketAddr,
        request: &WireRequest,
        connections: u16,
        duration: Duration,
        expected: u16,
    ) -> Self {
        let requests = (0..connections).map(|_| vec![request.clone()]).collect();
        Self { address, requests, duration, expected }
    }
}

/// What came of a load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    /// Requests that were answered as expected; any other answer is an error.
    pub(super) answered: u64,
    /// When the first was sent.
    pub(super) started: Instant,
    /// From then to the last answer.
    pub(super) took: Duration,
}

impl Loaded {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

/// Sends a load. It ends early when the future is dropped.
pub(super) async fn send(load: Load) -> anyhow::Result<Loaded> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let _ends_with_this_future = stop.clone().drop_guard();
    std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        // Nobody waits for it any more when the future was dropped.
        done.send(on_this_thread(load, &stop)).ok();
    })?;
    outcome.await.context("the load broke down")?
}

fn on_this_thread(load: Load, stop: &CancellationToken) -> anyhow::Result<Loaded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let outcome = runtime.block_on(stop.run_until_cancelled(all_connections(load)));
    outcome.context("interrupted")?
}

async fn all_connections(load: Load) -> anyhow::Result<Loaded> {
    let clock = Clock::system();
    let mut connections = Vec::with_capacity(load.requests.len());
    for requests in load.requests {
        connections.push((Connection::open(load.address).await?, requests));
    }
    let started = clock.monotonic();
    let until = started + load.duration;
    let mut loops = JoinSet::new();
    for (connection, requests) in connections {
        loops.spawn(one_connection(clock.clone(), connection, requests, until, load.expected));
    }
    let mut answered = 0_u64;
    while let Some(result) = loops.join_next().await {
        answered += result??;
    }
    Ok(Loaded { answered, started, took: clock.monotonic().saturating_duration_since(started) })
}

async fn one_connection(
    clock: Clock,
    mut connection: Connection,
    requests: Vec<WireRequest>,
    until: Instant,
    expected: u16,
) -> anyhow::Result<u64> {
    let mut answered = 0;
    for request in requests.iter().cycle() {
        if clock.monotonic() >= until {
            break;
        }
        let status = connection.call(request).await?;
        ensure!(status == expected, "answered {status}, not {expected}");
        answered += 1;
    }
    Ok(answered)
}
