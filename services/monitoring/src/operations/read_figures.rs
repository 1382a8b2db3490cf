//! The figures of the last 24 hours and of now, and what is alarming among them.

use chrono::{DateTime, Utc};
use onering_metrics_model::{AlertsReport, ExternalCounts, ExternalMetrics, Readings, WebhookCounts, WebhookMetrics};
use onering_store::monitoring_reads::{
    BucketCount, CircuitTotals, HeldCount, OutcomeTotal, Waiting, circuit_totals, delivery_latency, delivery_outcomes,
    key_counts, request_totals, troubled_subscriptions, waiting,
};
use onering_store::{AsyncPgConnection, StoreError};

use crate::counting;
use crate::sources::{ReadError, Sources, day_before, read};

/// The gateways' figures.
#[derive(Debug)]
pub(crate) struct GatewayFigures(ExternalCounts);

/// The workers' figures, and what waits now.
#[derive(Debug)]
pub(crate) struct DeliveryFigures {
    /// All counts.
    pub(crate) counts: WebhookCounts,
    /// What is held, by reason.
    pub(crate) held: Vec<HeldCount>,
}

impl GatewayFigures {
    pub(crate) const fn new(counts: ExternalCounts) -> Self {
        Self(counts)
    }

    /// What alerts watch, with nothing but zeros of the other side.
    pub(crate) fn readings(&self) -> Readings {
        readings(&self.0, Readings::default())
    }
}

fn readings(external: &ExternalCounts, webhooks: Readings) -> Readings {
    Readings { auth_failures: external.auth_failures(), rate_limit_hits: external.rate_limit_hits(), ..webhooks }
}

/// Reads the gateways' side by itself: its alerts do not go blind with the other's.
pub(crate) async fn read_gateway_figures(sources: &Sources) -> Result<GatewayFigures, ReadError> {
    let at = sources.now();
    let counts = read(async { external_counts(&mut *sources.pool.get().await?, at).await }).await?;
    Ok(GatewayFigures::new(counts))
}

/// Reads the workers' side, with what waits: the one figure here whose cost follows a backlog.
pub(crate) async fn read_delivery_figures(sources: &Sources) -> Result<DeliveryFigures, ReadError> {
    let at = sources.now();
    let (counts, held) = read(async { webhook_counts(&mut *sources.pool.get().await?, at).await }).await?;
    Ok(DeliveryFigures { counts, held })
}

/// The answer of `/external/metrics`. The alerts of the delivery side stand in it too.
pub(crate) async fn read_external_metrics(sources: &Sources) -> Result<ExternalMetrics, ReadError> {
    let at = sources.now();
    let (external, webhooks) = read(both_sides(sources, at)).await?;
    Ok(ExternalMetrics::new(at, external, &webhooks, sources.thresholds))
}

/// The answer of `/webhooks/metrics`.
pub(crate) async fn read_webhook_metrics(sources: &Sources) -> Result<WebhookMetrics, ReadError> {
    let at = sources.now();
    let (counts, _) = read(async { webhook_counts(&mut *sources.pool.get().await?, at).await }).await?;
    Ok(WebhookMetrics::new(at, &counts, sources.thresholds))
}

/// The answer of `/alerts`.
pub(crate) async fn read_alerts(sources: &Sources) -> Result<AlertsReport, ReadError> {
    let at = sources.now();
    let (external, webhooks) = read(both_sides(sources, at)).await?;
    Ok(AlertsReport::new(at, &readings(&external, webhooks), sources.thresholds))
}

/// Both sides' alerts on one connection, without circuits and what waits: no alert asks for them, and a backlog must not make them late.
async fn both_sides(sources: &Sources, now: DateTime<Utc>) -> Result<(ExternalCounts, Readings), StoreError> {
    let connection = &mut *sources.pool.get().await?;
    let external = external_counts(connection, now).await?;
    let (outcomes, latency_ms) = delivery_totals(connection, now).await?;
    let troubled = troubled_subscriptions(connection).await?;
    let circuits = CircuitTotals::default();
    let webhooks = counting::webhook_counts(&outcomes, &Waiting::default(), &latency_ms, troubled, circuits, now);
    Ok((external, webhooks.readings()))
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
    let (outcomes, latency_ms) = delivery_totals(connection, now).await?;
    let waiting = waiting(connection).await?;
    let troubled = troubled_subscriptions(connection).await?;
    let circuits = circuit_totals(connection, day_before(now)).await?;
    Ok((counting::webhook_counts(&outcomes, &waiting, &latency_ms, troubled, circuits, now), waiting.held))
}

async fn delivery_totals(
    connection: &mut AsyncPgConnection,
    now: DateTime<Utc>,
) -> Result<(Vec<OutcomeTotal>, Vec<BucketCount>), StoreError> {
    let since = day_before(now);
    Ok((delivery_outcomes(connection, since).await?, delivery_latency(connection, since).await?))
}
