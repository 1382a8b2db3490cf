//! The figures of the last 24 hours and of now, and what is alarming among them.

use chrono::{DateTime, Utc};
use onering_metrics_model::{AlertsReport, ExternalCounts, ExternalMetrics, Readings, WebhookCounts, WebhookMetrics};
use onering_store::monitoring_reads::{
    HeldCount, delivery_latency, delivery_outcomes, key_counts, request_totals, troubled_subscriptions, waiting,
};
use onering_store::{AsyncPgConnection, StoreError};

use crate::counting;
use crate::sources::{ReadError, Sources, day_before, read};

/// Everything that alerts and gauges are made of.
#[derive(Debug)]
pub(crate) struct Figures {
    /// When they were read.
    pub(crate) at: DateTime<Utc>,
    /// The gateways'.
    pub(crate) external: ExternalCounts,
    /// The workers'.
    pub(crate) webhooks: WebhookCounts,
    /// What is held, by reason.
    pub(crate) held: Vec<HeldCount>,
}

impl Figures {
    /// What alerts watch.
    pub(crate) fn readings(&self) -> Readings {
        Readings {
            auth_failures: self.external.auth_failures(),
            rate_limit_hits: self.external.rate_limit_hits(),
            ..self.webhooks.readings()
        }
    }
}

/// Reads all figures on one connection.
pub(crate) async fn read_figures(sources: &Sources) -> Result<Figures, ReadError> {
    let at = sources.now();
    let (external, (webhooks, held)) = read(async {
        let connection = &mut *sources.pool.get().await?;
        Ok((external_counts(connection, at).await?, webhook_counts(connection, at).await?))
    })
    .await?;
    Ok(Figures { at, external, webhooks, held })
}

/// The answer of `/external/metrics`. The alerts of the delivery side stand in it too.
pub(crate) async fn read_external_metrics(sources: &Sources) -> Result<ExternalMetrics, ReadError> {
    let figures = read_figures(sources).await?;
    Ok(ExternalMetrics::new(figures.at, figures.external, &figures.webhooks.readings(), sources.thresholds))
}

/// The answer of `/webhooks/metrics`.
pub(crate) async fn read_webhook_metrics(sources: &Sources) -> Result<WebhookMetrics, ReadError> {
    let at = sources.now();
    let (counts, _) = read(async { webhook_counts(&mut *sources.pool.get().await?, at).await }).await?;
    Ok(WebhookMetrics::new(at, &counts, sources.thresholds))
}

/// The answer of `/alerts`.
pub(crate) async fn read_alerts(sources: &Sources) -> Result<AlertsReport, ReadError> {
    let figures = read_figures(sources).await?;
    Ok(AlertsReport::new(figures.at, &figures.readings(), sources.thresholds))
}

async fn external_counts(connection: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<ExternalCounts, StoreError> {
    let keys = key_counts(connection).await?;
    let requests = request_totals(connection, day_before(now)).await?;
    Ok(counting::external_counts(&keys, &requests))
}

async fn webhook_counts(
    connection: &mut AsyncPgConnection,
    now: DateTime<Utc>,
) -> Result<(WebhookCounts, Vec<HeldCount>), StoreError> {
    let since = day_before(now);
    let outcomes = delivery_outcomes(connection, since).await?;
    let latency_ms = delivery_latency(connection, since).await?;
    let waiting = waiting(connection).await?;
    let troubled = troubled_subscriptions(connection).await?;
    Ok((counting::webhook_counts(&outcomes, &waiting, &latency_ms, troubled, now), waiting.held))
}
