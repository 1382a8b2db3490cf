//! How long events take at fixed rates, from when they are sent and from when they were due.

use std::time::Duration;

use super::super::bare_server;
use super::super::bed::Bed;
use super::super::commits;
use super::super::http_load::WireRequest;
use super::super::paced::{self, Latency, Pace};
use super::super::report::Report;
use super::super::target_sink::MARKER;

/// Events a second, and for how many times the duration of other measurements: few events need longer to say something.
const RATES: [(u32, u32); 3] = [(100, 2), (300, 2), (3_000, 1)];

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    for (rate, times) in RATES {
        references(bed, rate, bed.duration * times, report).await?;
        let pace = Pace { address: bed.addresses.gateway, rate, duration: bed.duration * times, expected: 202 };
        let first = bed.numbers(pace.count());
        let event = |number: u64| bed.timed.event(&format!("{MARKER}{number},"));
        let latencies = paced::measure(pace, &bed.sink, first, event).await?;
        bed.meter.worked();
        for (what, latency) in [
            (format!("accept → arrive at {rate}/s"), latencies.arrived),
            (format!("acknowledged at {rate}/s"), latencies.acknowledged),
            (format!("accept → arrive at {rate}/s, since due"), latencies.arrived_since_due),
            (format!("acknowledged at {rate}/s, since due"), latencies.acknowledged_since_due),
        ] {
            report.add(format!("{what}, p50"), "ms", latency.p50);
            report.add(format!("{what}, p99"), "ms", latency.p99);
        }
    }
    Ok(())
}

/// What the machine takes at this rate for the least that an event needs: one durable row, and one HTTP answer.
async fn references(bed: &Bed<'_>, rate: u32, duration: Duration, report: &mut Report) -> anyhow::Result<()> {
    let bare = bed.bare.address();
    let request = WireRequest::new("GET", bare_server::ANSWER, bare, &[], b"");
    let answers = paced::send(Pace { address: bare, rate, duration, expected: 200 }, |_| request.clone()).await?;
    let commit = commits::latency(&bed.addresses.stores.database_url, rate, duration).await?;
    let answer = Some(Latency::of_answers(&answers)?);
    for (what, latency) in [("one row committed", commit), ("bare answer", answer)] {
        if let Some(Latency { p50, p99 }) = latency {
            report.add(format!("reference: {what} at {rate}/s, p50"), "ms", p50);
            report.add(format!("reference: {what} at {rate}/s, p99"), "ms", p99);
        }
    }
    Ok(())
}
