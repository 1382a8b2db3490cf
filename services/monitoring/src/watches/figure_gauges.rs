//! The figures and alerts as gauges.

use std::sync::{Arc, Mutex, PoisonError};

use onering_delivery::HeldReason;
use onering_metrics_model::{AlertKind, Readings, Thresholds, evaluate};
use onering_store::monitoring_reads::HeldCount;
use onering_telemetry::metrics::{Gauge, Gauges, Label};
use onering_telemetry::{Metrics, MetricsError};

use crate::operations::{DeliveryFigures, GatewayFigures};

/// What a gauge is while nothing is known.
pub(super) const UNKNOWN: f64 = f64::NAN;

/// The gauges. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct FigureGauges {
    readable: Gauge,
    pending: Gauge,
    retrying: Gauge,
    held: Gauges<1>,
    oldest_pending: Gauge,
    subscriptions_failing: Gauge,
    subscriptions_disabled: Gauge,
    firing: Gauges<1>,
    value: Gauges<1>,
    sides: Arc<Mutex<Readable>>,
}

/// Where figures come from. Each side is read by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What the gateways counted.
    Gateways,
    /// What the workers counted, and what waits.
    Deliveries,
}

impl Side {
    const fn of(alert: AlertKind) -> Self {
        match alert {
            AlertKind::AuthFailures | AlertKind::RateLimits => Self::Gateways,
            AlertKind::DeadLetter
            | AlertKind::ReplayRejected
            | AlertKind::LatencyP90
            | AlertKind::SubscriptionsFailing
            | AlertKind::SubscriptionsDisabled => Self::Deliveries,
        }
    }
}

#[derive(Debug, Default)]
struct Readable {
    gateways: bool,
    deliveries: bool,
}

impl FigureGauges {
    /// Declares them; they show that nothing is known yet.
    pub(super) fn declare(metrics: &Metrics, thresholds: &Thresholds) -> Result<Self, MetricsError> {
        let alert = || [Label::of("alert", alerts())];
        let gauges = Self {
            readable: metrics.gauge(
                "onering_monitoring_readable",
                "1 while all figures of monitoring can be read; 0 while some cannot, whose gauges are NaN.",
            )?,
            pending: metrics.gauge(
                "onering_deliveries_pending",
                "Deliveries that wait for a first attempt, the held ones included.",
            )?,
            retrying: metrics.gauge("onering_deliveries_retrying", "Deliveries that wait for another attempt.")?,
            held: metrics.gauges(
                "onering_deliveries_held",
                "Deliveries that are held, by reason; they are pending too.",
                [Label::of("reason", HeldReason::ALL.iter().map(|reason| reason.as_str()))],
            )?,
            oldest_pending: metrics.gauge(
                "onering_deliveries_oldest_pending_seconds",
                "Age of the oldest delivery that waits and is not held; 0 when none does.",
            )?,
            subscriptions_failing: metrics.gauge(
                "onering_subscriptions_failing",
                "Active subscriptions that have failed for so long that their partners were warned.",
            )?,
            subscriptions_disabled: metrics.gauge(
                "onering_subscriptions_disabled",
                "Subscriptions the platform disabled in the last 24 hours, and which still are.",
            )?,
            firing: metrics.gauges(
                "onering_alert_firing",
                "1 while the figure of an alert is strictly above its threshold.",
                alert(),
            )?,
            value: metrics.gauges(
                "onering_alert_value",
                "The figure an alert watches, over 24 hours; NaN when nothing was measured.",
                alert(),
            )?,
            sides: Arc::default(),
        };
        let threshold =
            metrics.gauges("onering_alert_threshold", "Above what an alert fires (ONERING_ALERT_*).", alert())?;
        for alert in evaluate(&Readings::default(), thresholds) {
            threshold.with([name(alert.name)]).set(alert.threshold);
        }
        gauges.show_nothing(Side::Gateways);
        gauges.show_nothing(Side::Deliveries);
        Ok(gauges)
    }

    /// Shows what was read of the gateways.
    pub(super) fn show_gateways(&self, figures: &GatewayFigures, thresholds: &Thresholds) {
        self.show_alerts(Side::Gateways, &figures.readings(), thresholds);
        self.note(Side::Gateways, true);
    }

    /// Shows what was read of the deliveries.
    pub(super) fn show_deliveries(&self, figures: &DeliveryFigures, thresholds: &Thresholds) {
        let counts = &figures.counts;
        self.pending.set(counts.pending as f64);
        self.retrying.set(counts.retrying as f64);
        self.show_held(&figures.held);
        self.oldest_pending.set(counts.oldest_pending_seconds.unwrap_or(0.0));
        self.subscriptions_failing.set(counts.subscriptions_failing as f64);
        self.subscriptions_disabled.set(counts.subscriptions_disabled as f64);
        self.show_alerts(Side::Deliveries, &counts.readings(), thresholds);
        self.note(Side::Deliveries, true);
    }

    fn show_alerts(&self, side: Side, readings: &Readings, thresholds: &Thresholds) {
        for alert in evaluate(readings, thresholds).iter().filter(|alert| Side::of(alert.name) == side) {
            self.firing.with([name(alert.name)]).set_flag(alert.firing);
            self.value.with([name(alert.name)]).set(alert.value.unwrap_or(UNKNOWN));
        }
    }

    /// Shows that one side could not be read. What is known of the other stays.
    pub(super) fn show_nothing(&self, side: Side) {
        self.note(side, false);
        for alert in evaluate(&Readings::default(), &Thresholds::default()) {
            if Side::of(alert.name) == side {
                self.firing.with([name(alert.name)]).set(UNKNOWN);
                self.value.with([name(alert.name)]).set(UNKNOWN);
            }
        }
        if side == Side::Deliveries {
            self.show_no_deliveries();
        }
    }

    /// Readable is what has both sides.
    fn note(&self, side: Side, readable: bool) {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        match side {
            Side::Gateways => sides.gateways = readable,
            Side::Deliveries => sides.deliveries = readable,
        }
        self.readable.set_flag(sides.gateways && sides.deliveries);
    }

    fn show_no_deliveries(&self) {
        for gauge in [
            &self.pending,
            &self.retrying,
            &self.oldest_pending,
            &self.subscriptions_failing,
            &self.subscriptions_disabled,
        ] {
            gauge.set(UNKNOWN);
        }
        for reason in HeldReason::ALL {
            self.held.with([reason.as_str()]).set(UNKNOWN);
        }
    }

    fn show_held(&self, held: &[HeldCount]) {
        for reason in HeldReason::ALL {
            let count = held.iter().filter(|held| held.reason == *reason).map(|held| held.count).sum::<u64>();
            self.held.with([reason.as_str()]).set(count as f64);
        }
    }
}

fn alerts() -> impl Iterator<Item = &'static str> {
    evaluate(&Readings::default(), &Thresholds::default()).into_iter().map(|alert| name(alert.name))
}

/// As in JSON.
const fn name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::DeadLetter => "dead_letter",
        AlertKind::AuthFailures => "auth_failures",
        AlertKind::RateLimits => "rate_limits",
        AlertKind::ReplayRejected => "replay_rejected",
        AlertKind::LatencyP90 => "latency_p90",
        AlertKind::SubscriptionsFailing => "subscriptions_failing",
        AlertKind::SubscriptionsDisabled => "subscriptions_disabled",
    }
}

#[cfg(test)]
mod tests {
    use onering_metrics_model::{ExternalCounts, WebhookCounts};
    use onering_settings::Service;

    use super::*;

    fn line(metrics: &Metrics, name: &str, label: &str) -> String {
        let text = metrics.render().unwrap();
        let found = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        found.unwrap_or_else(|| panic!("no {name} with {label} in\n{text}")).rsplit(' ').next().unwrap().to_owned()
    }

    #[test]
    fn alerts_are_named_as_in_json() {
        for alert in evaluate(&Readings::default(), &Thresholds::default()) {
            assert_eq!(serde_json::to_value(alert.name).unwrap(), name(alert.name));
        }
    }

    #[test]
    fn what_is_not_known_is_not_a_number() {
        let metrics = Metrics::new(Service::Monitoring).unwrap();
        let thresholds = Thresholds::default();
        let gauges = FigureGauges::declare(&metrics, &thresholds).unwrap();
        let shown = || {
            [
                "onering_deliveries_pending",
                "onering_deliveries_held",
                "onering_alert_firing",
                "onering_subscriptions_failing",
            ]
            .map(|name| line(&metrics, name, "service"))
        };
        assert_eq!(shown(), ["NaN"; 4], "before the first read");
        let figures = DeliveryFigures {
            counts: WebhookCounts { pending: 7, dead: 11, subscriptions_failing: 2, ..WebhookCounts::default() },
            held: vec![HeldCount { reason: HeldReason::OutsideCohort, count: 3 }],
        };
        gauges.show_deliveries(&figures, &thresholds);
        assert_eq!(line(&metrics, "onering_alert_firing", "rate_limits"), "NaN", "the other side was not read");
        assert_eq!(line(&metrics, "onering_monitoring_readable", "service"), "0");
        gauges.show_gateways(&GatewayFigures::new(ExternalCounts::default()), &thresholds);
        assert_eq!(line(&metrics, "onering_deliveries_pending", "service"), "7");
        assert_eq!(line(&metrics, "onering_deliveries_held", "OUTSIDE_COHORT"), "3");
        assert_eq!(line(&metrics, "onering_deliveries_held", "DELIVERY_OFF"), "0");
        assert_eq!(line(&metrics, "onering_alert_firing", "dead_letter"), "1");
        assert_eq!(line(&metrics, "onering_alert_value", "latency_p90"), "NaN", "nothing was delivered");
        assert_eq!(line(&metrics, "onering_alert_threshold", "auth_failures"), "50");
        assert_eq!(line(&metrics, "onering_monitoring_readable", "service"), "1");
        assert_eq!(line(&metrics, "onering_subscriptions_failing", "service"), "2");
        assert_eq!(line(&metrics, "onering_subscriptions_disabled", "service"), "0");
        assert_eq!(line(&metrics, "onering_alert_firing", "subscriptions_failing"), "1");
        gauges.show_nothing(Side::Deliveries);
        let [pending, held, _, failing] = shown();
        assert_eq!([pending, held, failing], ["NaN"; 3], "after a read that failed");
        assert_eq!(line(&metrics, "onering_alert_firing", "dead_letter"), "NaN");
        assert_eq!(line(&metrics, "onering_alert_firing", "rate_limits"), "0", "what is known of the gateways stays");
        assert_eq!(line(&metrics, "onering_monitoring_readable", "service"), "0");
    }
}
