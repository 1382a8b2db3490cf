//! `onering bench backlog`: events wait because delivery was switched off; how fast they go out once it is on again, beside the
//! rate of events that are sent at once, and what that does to the live events of another partner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use onering_clock::Clock;
use tokio::task::JoinSet;

use super::bed::{Bed, Receiver};
use super::delivery_switch;
use super::http_load::{Connection, WireRequest};
use super::live::end_to_end;
use super::paced::{self, Clients, Pace};
use super::private_stack::PrivateStack;
use super::report::{Report, Spread};
use super::target_sink::MARKER;
use crate::args::{BacklogBench, TableBench};

/// Events of one request.
const BATCH: u32 = 1_000;
/// Connections that publish the backlog.
const PUBLISHERS: u32 = 4;
/// Live events a second.
const LIVE_RATE: u32 = 100;
/// Live events are sent for so long at a time, until the backlog is gone.
const STRETCH: Duration = Duration::from_secs(2);
/// A backlog of which nothing goes out for so long never will.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// What gathers and drains slower than this is given up.
const SLOWEST_PER_SECOND: u32 = 500;

/// What it may take beside starting and stopping.
pub(super) fn limit(options: &BacklogBench) -> Duration {
    let loads = Duration::from_secs(options.seconds.into()) * u32::from(options.repeat) * 4;
    loads + Duration::from_secs((options.backlog / SLOWEST_PER_SECOND).into()) * 2
}

/// Measures on a stack that is not started yet.
pub(super) async fn measure(stack: &mut PrivateStack, options: &BacklogBench) -> anyhow::Result<Report> {
    let addresses = stack.start().await?;
    let mut bed = Bed::make(stack, addresses, &TableBench::of(options.seconds, options.connections)).await?;
    let mut report = Report::default();
    // Statements are prepared, connections opened and caches filled before anything counts.
    end_to_end(&mut bed).await?;
    eprintln!("events that are sent at once");
    let mut rates = Vec::new();
    for _ in 0..options.repeat {
        let rate = end_to_end(&mut bed).await?;
        report.add("live: accepted and delivered, end to end", "1/s", rate);
        rates.push(rate);
    }
    let alone = live(&mut bed, STRETCH * 2).await?;
    report.add("live events at 100/s alone: accept → arrive, p50", "ms", alone.p50);
    report.add("live events at 100/s alone: accept → arrive, p99", "ms", alone.p99);

    eprintln!("{} events while delivery is off", options.backlog);
    delivery_switch::turn_and_wait(&bed, false).await?;
    report.add("backlog: events that waited", "", options.backlog.into());
    report.add("backlog: accepted in batches of 1,000", "1/s", gather(&bed, options.backlog).await?);

    eprintln!("delivery is on again");
    let (drained, beside) = drain(&mut bed, options.backlog).await?;
    report.add("backlog: drained", "1/s", drained);
    report.add("backlog: drained, of the live rate", "×", drained / Spread::of(&rates).median);
    report.add("live events at 100/s beside it: accept → arrive, p50", "ms", beside.p50);
    report.add("live events at 100/s beside it: accept → arrive, p99", "ms", beside.p99);
    Ok(report)
}

/// Live events for so long.
async fn live(bed: &mut Bed<'_>, duration: Duration) -> anyhow::Result<paced::Latency> {
    let pace = Pace { duration, ..pace(bed) };
    let first = bed.numbers(pace.count());
    let event = |number: u64| bed.timed.event(&format!("{MARKER}{number},"));
    Ok(paced::measure(pace, &bed.sink, first, event).await?.arrived)
}

fn pace(bed: &Bed<'_>) -> Pace {
    Pace { address: bed.addresses.gateway, rate: LIVE_RATE, duration: STRETCH, expected: 202, clients: Clients::One }
}

/// Publishes so many events in batches; answers how many a second were accepted.
async fn gather(bed: &Bed<'_>, backlog: u32) -> anyhow::Result<f64> {
    let clock = Clock::system();
    let started = clock.monotonic();
    let (whole, rest) = (backlog / BATCH, backlog % BATCH);
    let left = Arc::new(AtomicU32::new(whole));
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let connection = Connection::open(bed.addresses.gateway).await?;
        publishers.spawn(publish(connection, bed.to_nginx.batch(BATCH), Arc::clone(&left)));
    }
    while let Some(published) = publishers.join_next().await {
        published??;
    }
    if rest > 0 {
        let connection = Connection::open(bed.addresses.gateway).await?;
        publish(connection, bed.to_nginx.batch(rest), Arc::new(AtomicU32::new(1))).await?;
    }
    Ok(f64::from(backlog) / clock.monotonic().saturating_duration_since(started).as_secs_f64())
}

/// Sends a request again and again until none is left to be sent.
async fn publish(mut connection: Connection, request: WireRequest, left: Arc<AtomicU32>) -> anyhow::Result<()> {
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let status = connection.call(&request).await?;
        ensure!(status == 202, "a batch was answered {status}");
    }
    Ok(())
}

/// Turns delivery on: how many of the backlog arrive a second, from the first that does, and how long live events take
/// meanwhile.
async fn drain(bed: &mut Bed<'_>, backlog: u32) -> anyhow::Result<(f64, paced::Latency)> {
    let before = bed.received(Receiver::Nginx).await?;
    // More than there can be.
    let first = bed.numbers(u64::from(backlog) + pace(bed).count());
    let is_drained = AtomicBool::new(false);
    delivery_switch::turn(bed, true)?;
    let draining = async {
        let timed = all_received(bed, before, u64::from(backlog)).await;
        is_drained.store(true, Ordering::Relaxed);
        timed
    };
    let living = async {
        let mut runs = Vec::new();
        let mut next = first;
        while !is_drained.load(Ordering::Relaxed) {
            let begin = next;
            next += pace(bed).count();
            let event = |number: u64| bed.timed.event(&format!("{MARKER}{},", begin + number));
            runs.push((begin, paced::send(pace(bed), event).await?));
        }
        paced::latencies(&runs, &bed.sink).await
    };
    let ((ahead, took), latencies) = tokio::try_join!(draining, living)?;
    let drained = u64::from(backlog) - ahead;
    ensure!(drained > 0, "the backlog was gone before it could be timed");
    Ok((drained as f64 / took.as_secs_f64(), latencies.arrived))
}

/// Waits until so many more have arrived; answers how many had when the first was seen, and the time from then on.
async fn all_received(bed: &Bed<'_>, before: u64, count: u64) -> anyhow::Result<(u64, Duration)> {
    let clock = Clock::system();
    let mut first: Option<(u64, Instant)> = None;
    let (mut last, mut last_at) = (0, clock.monotonic());
    loop {
        let (arrived, now) = (bed.received(Receiver::Nginx).await?.saturating_sub(before), clock.monotonic());
        if arrived > last {
            (last, last_at) = (arrived, now);
        }
        if first.is_none() && arrived > 0 {
            first = Some((arrived, now));
        }
        if let Some((ahead, began)) = first.filter(|_| arrived >= count) {
            return Ok((ahead, now.saturating_duration_since(began)));
        }
        let idle = now.saturating_duration_since(last_at);
        ensure!(idle < PATIENCE, "{arrived} of {count} arrived, and then none for {} s", PATIENCE.as_secs());
        tokio::time::sleep(POLL).await;
    }
}
