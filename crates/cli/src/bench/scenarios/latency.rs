//! How long events take at fixed rates, from when they are sent and from when they were due.

use super::super::bare_server;
use super::super::bed::Bed;
use super::super::commits;
use super::super::http_load::WireRequest;
use super::super::paced::{self, Clients, Latency, Pace};
use super::super::report::Report;
use super::super::target_sink::MARKER;

/// Events a second, and for how many times the duration of other measurements: few events need longer to say something.
const RATES: [(u32, u32); 3] = [(100, 2), (300, 2), (3_000, 1)];

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    for (rate, times) in RATES {
        let duration = bed.duration * times;
        let pace = |address, expected| Pace { address, rate, duration, expected, clients: Clients::One };
        references(bed, pace(bed.bare.address(), 200), report).await?;
        let pace = pace(bed.addresses.gateway, 202);
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

/// What the machine takes at this pace for the least that an event needs: one durable row, and one HTTP answer.
async fn references(bed: &Bed<'_>, pace: Pace, report: &mut Report) -> anyhow::Result<()> {
    let Pace { address, rate, duration, .. } = pace;
    let request = WireRequest::new("GET", bare_server::ANSWER, address, &[], b"");
    let answers = paced::send(pace, |_| request.clone()).await?;
    let commit = commits::latency(&bed.addresses.stores.database_url, rate, duration).await?;
    for (what, latency) in [("one row committed", commit), ("bare answer", Some(Latency::of_answers(&answers)?))] {
        if let Some(Latency { p50, p99 }) = latency {
            report.add(format!("reference: {what} at {rate}/s, p50"), "ms", p50);
            report.add(format!("reference: {what} at {rate}/s, p99"), "ms", p99);
        }
    }
    Ok(())
}
