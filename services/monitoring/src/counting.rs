//! From rows to figures. Pure.

use chrono::{DateTime, Utc};
use onering_delivery::StatsOutcome;
use onering_keys::Tier;
use onering_metrics_model::{
    ExternalCounts, Histogram, RotationProgress, TierMetrics, WebhookCounts, WebhookHealth, mean_retries, rate,
};
use onering_problem::Code;
use onering_store::monitoring_reads::{
    BucketCount, CircuitTotals, KeyCount, OutcomeTotal, RequestTotal, SubscriptionHealth, TroubledSubscriptions,
    Waiting,
};
use onering_webhooks::Rotation;

/// The tier of answers to callers who were not recognised.
const NO_TIER: &str = "none";

/// The refusals for a caller's credentials.
const AUTH_FAILURES: [Code; 4] =
    [Code::MissingApiKey, Code::InvalidApiKey, Code::KeyExpired, Code::TooManyAuthFailures];

/// The other refusals that come before a call takes its quota, or because it got none. Any other answer to a recognised key,
/// be it good or bad, was to an admitted call.
const NOT_ADMITTED: [Code; 11] = [
    Code::ExternalApiDisabled,
    Code::AddressBlocked,
    Code::KeyDisabled,
    Code::PartnerDisabled,
    Code::IpNotAllowed,
    Code::CanaryOnlyMode,
    Code::NotInRollout,
    Code::MissingScope,
    Code::WebhooksDisabled,
    Code::RateLimited,
    Code::RateLimiterUnavailable,
];

/// The gateways' figures. Every tier is named, also one without keys or calls.
pub(crate) fn external_counts(keys: &[KeyCount], requests: &[RequestTotal]) -> ExternalCounts {
    let tiers = || Tier::ALL.into_iter().map(|tier| tier.as_str().to_owned());
    let mut counts = ExternalCounts {
        by_tier: tiers().map(|tier| (tier, TierMetrics::default())).collect(),
        rate_limit_hits_by_tier: tiers().map(|tier| (tier, 0)).collect(),
        ..ExternalCounts::default()
    };
    for key in keys {
        counts.by_tier.entry(key.tier.clone()).or_default().active += key.active;
        counts.canary.active += if key.canary { key.active } else { 0 };
    }
    for total in requests {
        if is(total, &AUTH_FAILURES) {
            *counts.auth_failures_by_reason.entry(total.code.clone()).or_default() += total.count;
        } else if is(total, &[Code::RateLimited]) {
            *counts.rate_limit_hits_by_tier.entry(total.tier.clone()).or_default() += total.count;
        } else if total.tier != NO_TIER && !is(total, &NOT_ADMITTED) {
            counts.by_tier.entry(total.tier.clone()).or_default().usage += total.count;
            counts.canary.usage += if total.canary { total.count } else { 0 };
        }
    }
    counts
}

fn is(total: &RequestTotal, codes: &[Code]) -> bool {
    codes.iter().any(|code| code.as_str() == total.code)
}

/// The workers' figures.
///
/// Nothing looks for personal data, so that there is no figure of it.
pub(crate) fn webhook_counts(
    outcomes: &[OutcomeTotal],
    waiting: &Waiting,
    latency_ms: &[BucketCount],
    troubled: TroubledSubscriptions,
    circuits: CircuitTotals,
    now: DateTime<Utc>,
) -> WebhookCounts {
    let ended = Ended::of(outcomes);
    WebhookCounts {
        delivered: ended.delivered,
        failed: ended.failed,
        dead: ended.dead,
        replay_expired: ended.replay_expired,
        final_attempts: ended.final_attempts,
        pending: waiting.pending,
        retrying: waiting.retrying,
        held: waiting.held_total(),
        oldest_pending_seconds: waiting.oldest_waiting_at.map(|since| age_seconds(since, now)),
        latency_ms: latency_ms.iter().map(|row| (row.bucket, row.count)).collect::<Histogram>(),
        circuit_open: circuits.open,
        circuit_opens: circuits.opens,
        pii_findings: None,
        subscriptions_failing: troubled.failing,
        subscriptions_disabled: troubled.disabled,
    }
}

/// One subscription's figures.
pub(crate) fn webhook_health(
    health: SubscriptionHealth,
    rotation: Option<Rotation>,
    now: DateTime<Utc>,
) -> WebhookHealth {
    let ended = Ended::of(&health.outcomes);
    let deliveries = ended.delivered + ended.dead + ended.replay_expired;
    WebhookHealth {
        timestamp: now,
        webhook_id: health.webhook_id,
        owner_id: health.owner_id,
        status: health.status,
        disabled_reason: health.disabled_reason,
        failing_since: health.failing_since,
        delivered: ended.delivered,
        failed: ended.failed,
        dead: ended.dead,
        replay_rejected_24h: ended.replay_expired,
        pending: health.waiting.pending,
        retrying: health.waiting.retrying,
        held: health.waiting.held_total(),
        success_rate: rate(ended.delivered, deliveries),
        avg_retry_count: mean_retries(ended.final_attempts, deliveries),
        circuit_open: health.circuit.open_until.is_some(),
        circuit_open_until: health.circuit.open_until,
        circuit_opens_24h: health.circuit.opens,
        rotation: rotation.map(rotation_progress),
    }
}

fn rotation_progress(rotation: Rotation) -> RotationProgress {
    RotationProgress {
        started_at: rotation.started_at,
        previous_expires_at: rotation.previous_expires_at,
        sent_with_both: rotation.sent_with_both,
        verified_with_current: rotation.verified_with_current,
        verified_with_previous: rotation.verified_with_previous,
        last_verified_with_current_at: rotation.last_verified_with_current_at,
        last_verified_with_previous_at: rotation.last_verified_with_previous_at,
        confirmed_at: rotation.confirmed_at,
        still_on_previous: rotation.still_on_previous(),
    }
}

/// What attempts led to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ended {
    delivered: u64,
    failed: u64,
    dead: u64,
    replay_expired: u64,
    /// Attempts made for those that arrived, died or were too old. Deliveries cancelled with their subscription are no result.
    final_attempts: u64,
}

impl Ended {
    fn of(outcomes: &[OutcomeTotal]) -> Self {
        let mut ended = Self::default();
        for OutcomeTotal { outcome, count, attempts } in outcomes.iter().copied() {
            match outcome {
                StatsOutcome::Delivered => ended.delivered += count,
                StatsOutcome::Retry => ended.failed += count,
                StatsOutcome::Dead | StatsOutcome::Gone => {
                    ended.failed += count;
                    ended.dead += count;
                }
                StatsOutcome::ReplayExpired => ended.replay_expired += count,
                StatsOutcome::Cancelled => {}
            }
            if !matches!(outcome, StatsOutcome::Retry | StatsOutcome::Cancelled) {
                ended.final_attempts += attempts;
            }
        }
        ended
    }
}

/// Never negative, whatever two clocks think of each other.
fn age_seconds(since: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - since).to_std().map_or(0.0, |age| (age.as_secs_f64() * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use onering_delivery::HeldReason;
    use onering_store::monitoring_reads::HeldCount;

    use super::*;

    fn keys(tier: &str, canary: bool, active: u64) -> KeyCount {
        KeyCount { tier: tier.to_owned(), canary, active }
    }

    fn answers(code: &str, tier: &str, canary: bool, count: u64) -> RequestTotal {
        RequestTotal { code: code.to_owned(), tier: tier.to_owned(), canary, count }
    }

    #[test]
    fn canary_keys_count_in_their_tier_and_beside_it() {
        let counts = external_counts(
            &[keys("free", false, 2), keys("free", true, 1), keys("pro", true, 4)],
            &[answers("OK", "free", false, 10), answers("OK", "free", true, 3), answers("OK", "pro", true, 5)],
        );
        assert_eq!(counts.by_tier["free"], TierMetrics { active: 3, usage: 13 });
        assert_eq!(counts.by_tier["pro"], TierMetrics { active: 4, usage: 5 });
        assert_eq!(counts.by_tier["enterprise"], TierMetrics::default(), "named without keys and calls");
        assert_eq!((counts.canary.active, counts.canary.usage), (5, 8));
    }

    #[test]
    fn usage_is_what_was_admitted_however_it_ended() {
        let refused = AUTH_FAILURES.iter().chain(&NOT_ADMITTED).map(|code| answers(code.as_str(), "pro", false, 7));
        let admitted = ["OK", "VALIDATION_FAILED", "UPSTREAM_TIMEOUT", "INTERNAL", "A_NEWER_CODE"];
        let admitted = admitted.map(|code| answers(code, "pro", false, 1));
        let strangers = answers("NOT_FOUND", NO_TIER, false, 9);
        let totals: Vec<_> = refused.chain(admitted).chain([strangers]).collect();
        let counts = external_counts(&[], &totals);
        assert_eq!(counts.by_tier["pro"].usage, 5);
        assert!(!counts.by_tier.contains_key(NO_TIER));
        assert_eq!(counts.auth_failures(), 28);
        assert_eq!(counts.auth_failures_by_reason.len(), 4);
        assert_eq!(counts.rate_limit_hits_by_tier, [("enterprise", 0), ("free", 0), ("pro", 7)].map(owned).into());
    }

    fn owned((tier, count): (&str, u64)) -> (String, u64) {
        (tier.to_owned(), count)
    }

    #[test]
    fn every_outcome_counts_where_it_belongs() {
        let total = |outcome, count, attempts| OutcomeTotal { outcome, count, attempts };
        let outcomes = [
            total(StatsOutcome::Delivered, 10, 12),
            total(StatsOutcome::Retry, 5, 7),
            total(StatsOutcome::Dead, 2, 6),
            total(StatsOutcome::Gone, 1, 1),
            total(StatsOutcome::ReplayExpired, 3, 4),
            total(StatsOutcome::Cancelled, 100, 100),
        ];
        let expected = Ended { delivered: 10, failed: 8, dead: 3, replay_expired: 3, final_attempts: 23 };
        assert_eq!(Ended::of(&outcomes), expected);
    }

    #[test]
    fn what_waits_is_passed_on_and_its_age_is_never_negative() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let held = HeldCount { reason: HeldReason::DeliveryOff, count: 4 };
        let at = |oldest| Waiting { pending: 6, retrying: 2, held: vec![held], oldest_waiting_at: oldest };
        let troubled = TroubledSubscriptions { failing: 2, disabled: 1 };
        let circuits = CircuitTotals { open: 3, opens: 4 };
        let of = |waiting: &Waiting| webhook_counts(&[], waiting, &[], troubled, circuits, now);
        let counts = of(&at(Some(now - TimeDelta::milliseconds(1_500))));
        assert_eq!((counts.subscriptions_failing, counts.subscriptions_disabled), (2, 1));
        assert_eq!((counts.circuit_open, counts.circuit_opens), (3, 4));
        assert_eq!((counts.pending, counts.retrying, counts.held), (6, 2, 4));
        assert_eq!(counts.oldest_pending_seconds, Some(1.5));
        let ahead = of(&at(Some(now + TimeDelta::seconds(9))));
        assert_eq!(ahead.oldest_pending_seconds, Some(0.0));
        assert_eq!(of(&at(None)).oldest_pending_seconds, None);
    }
}
