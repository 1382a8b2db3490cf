//! A delivery worker beside those of the dev stack, with a wrong clock.

use std::time::Duration;

use super::folder::RunFolder;
use super::spare_service::SpareService;

/// The worker of the stack that it is like.
const MODEL: &str = "delivery-worker-1";
const POLL: Duration = Duration::from_millis(100);
/// The worker's own count of what it delivered.
const DELIVERED: &str = "onering_deliveries_total{";

/// A running one.
pub(crate) struct SpareWorker(SpareService);

impl SpareWorker {
    /// Starts one whose clock is so far off, and waits until it is ready.
    pub(crate) async fn start(folder: &RunFolder, skew_seconds: i64) -> anyhow::Result<Self> {
        let skew = skew_seconds.to_string();
        let environment = [("ONERING_CLOCK_SKEW_SECONDS", skew.as_str())];
        let name = format!("delivery-worker-drill{skew_seconds:+}");
        let mut worker = SpareService::spawn(folder, MODEL, &name, &environment)?;
        worker.wait_until_ready(POLL).await?;
        Ok(Self(worker))
    }

    /// Its name in the attempt logs.
    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    /// How many deliveries it has delivered, by its own count.
    pub(crate) async fn delivered(&self) -> anyhow::Result<u64> {
        Ok(delivered_in(&self.0.metrics().await?))
    }

    /// Lets it finish what it has begun.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.0.stop().await
    }
}

/// What a worker's metrics say that it has delivered.
pub(crate) fn delivered_in(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(DELIVERED) && line.contains("outcome=\"DELIVERED\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_is_counted() {
        let metrics = "# TYPE onering_deliveries_total counter\n\
            onering_deliveries_total{outcome=\"DELIVERED\",service=\"delivery-worker\"} 41\n\
            onering_deliveries_total{outcome=\"retry\",service=\"delivery-worker\"} 7\n";
        assert_eq!(delivered_in(metrics), 41);
        assert_eq!(delivered_in(""), 0);
    }
}
