//! How long events take at fixed rates, from when they are sent and from when they were due.

use super::super::bed::Bed;
use super::super::paced::{self, Pace};
use super::super::report::Report;
use super::super::target_sink::MARKER;

/// Events a second, and for how many times the duration of other measurements: few events need longer to say something.
const RATES: [(u32, u32); 3] = [(100, 2), (300, 2), (3_000, 1)];

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    for (rate, times) in RATES {
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
