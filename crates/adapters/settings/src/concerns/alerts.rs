//! Alert thresholds.

use onering_metrics_model::Thresholds;

use crate::reader::Reader;
use crate::table::{
    ALERT_AUTH_FAILURES_24H, ALERT_DEAD_LETTER_24H, ALERT_LATENCY_P90_SECONDS, ALERT_RATE_LIMIT_HITS_24H,
    ALERT_REPLAY_REJECTED_24H, ALERT_SUBSCRIPTIONS_DISABLED_24H, ALERT_SUBSCRIPTIONS_FAILING,
};

/// Above what alerts fire.
pub(crate) fn thresholds(reader: &mut Reader<'_>) -> Option<Thresholds> {
    let dead_letter_24h = reader.whole(&ALERT_DEAD_LETTER_24H);
    let auth_failures_24h = reader.whole(&ALERT_AUTH_FAILURES_24H);
    let rate_limit_hits_24h = reader.whole(&ALERT_RATE_LIMIT_HITS_24H);
    let replay_rejected_24h = reader.whole(&ALERT_REPLAY_REJECTED_24H);
    let latency_p90_seconds = reader.decimal(&ALERT_LATENCY_P90_SECONDS);
    let subscriptions_failing = reader.whole(&ALERT_SUBSCRIPTIONS_FAILING);
    let subscriptions_disabled_24h = reader.whole(&ALERT_SUBSCRIPTIONS_DISABLED_24H);
    Some(Thresholds {
        dead_letter_24h: dead_letter_24h?,
        auth_failures_24h: auth_failures_24h?,
        rate_limit_hits_24h: rate_limit_hits_24h?,
        replay_rejected_24h: replay_rejected_24h?,
        latency_p90_seconds: latency_p90_seconds?,
        subscriptions_failing: subscriptions_failing?,
        subscriptions_disabled_24h: subscriptions_disabled_24h?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Values;
    use crate::variable::Service;

    #[test]
    fn the_defaults_of_the_table_are_the_domains() {
        let values = Values::from_map::<String, String>([]);
        let read = thresholds(&mut Reader::new(&values, Service::Monitoring));
        assert_eq!(read, Some(Thresholds::default()));
    }
}
