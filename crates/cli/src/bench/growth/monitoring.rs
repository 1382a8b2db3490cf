//! How long monitoring takes to answer.

use std::time::Duration;

use anyhow::Context as _;
use onering_clock::Clock;
use serde_json::Value;

use super::super::bed::Bed;
use super::super::report::Report;
use crate::api::Api;

/// Answers of each kind; a p99 of so few is the longest.
const CALLS: u32 = 25;
/// Between two of them, so that what is remembered for a moment is not all that is asked.
const PAUSE: Duration = Duration::from_millis(20);
/// What is asked, but for what needs a subscription. The ledger is counted, not looked up, and is no part of this.
const PATHS: [&str; 9] = [
    "/v1/monitoring/external/metrics",
    "/v1/monitoring/external/api-keys",
    "/v1/monitoring/webhooks/metrics",
    "/v1/monitoring/webhooks/recent",
    "/v1/monitoring/webhooks/recent?status=DELIVERED",
    "/v1/monitoring/webhooks/recent?status=DEAD",
    "/v1/monitoring/webhooks/recent?status=PENDING",
    "/v1/monitoring/webhooks/recent?status=RETRYING",
    "/v1/monitoring/alerts",
];

/// Times each answer, and adds the p99 of each and the worst of them.
pub(super) async fn measure(bed: &Bed<'_>, phase: &str, report: &mut Report) -> anyhow::Result<()> {
    let api = Api::new(&bed.addresses.monitoring, &bed.addresses.admin_key)?;
    let mut paths: Vec<(String, &str)> = PATHS.iter().map(|path| ((*path).to_owned(), *path)).collect();
    // Seeded ones, where there are; otherwise one of the benchmark's own.
    let dead = api.get("/v1/monitoring/webhooks/recent?status=DEAD&limit=1").await?;
    let any = api.get("/v1/monitoring/webhooks/recent?limit=1").await?;
    let newest = first(&dead).or_else(|| first(&any)).context("monitoring knows of no delivery")?;
    let field = |name: &str| newest[name].as_str().with_context(|| format!("a delivery without {name}"));
    let (webhook, owner) = (field("webhook_id")?, field("owner_id")?);
    paths.push((format!("/v1/monitoring/webhooks/{webhook}/health"), "/v1/monitoring/webhooks/{id}/health"));
    paths.push((
        format!("/v1/monitoring/webhooks/recent?webhook_id={webhook}"),
        "/v1/monitoring/webhooks/recent?webhook_id=…",
    ));
    paths.push((
        format!("/v1/monitoring/webhooks/recent?owner_id={owner}"),
        "/v1/monitoring/webhooks/recent?owner_id=…",
    ));
    let mut worst = Duration::ZERO;
    for (path, name) in paths {
        let p99 = p99(&api, &path).await?;
        report.add(format!("{phase}: {name}, p99"), "ms", p99.as_secs_f64() * 1000.0);
        worst = worst.max(p99);
    }
    report.add(format!("{phase}: worst p99 of monitoring's answers"), "ms", worst.as_secs_f64() * 1000.0);
    Ok(())
}

fn first(list: &Value) -> Option<&Value> {
    list["deliveries"].as_array()?.first()
}

/// The p99 of so many answers, which is the longest.
async fn p99(api: &Api, path: &str) -> anyhow::Result<Duration> {
    let clock = Clock::system();
    let mut longest = Duration::ZERO;
    for _ in 0..CALLS {
        let started = clock.monotonic();
        api.get(path).await?;
        longest = longest.max(clock.monotonic().saturating_duration_since(started));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(longest)
}
