//! What the figures are to be, and what each is held against.

use super::report::Spread;

/// What a row is to reach. Medians are compared, save where a ratio is never to fall short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// The figure.
    AtLeast(f64),
    /// The figure.
    AtMost(f64),
    /// The figure divided by that of the reference in the same repetition.
    Ratio(f64),
    /// The figure; and the ratio of every single repetition.
    AtLeastAndNeverUnder(f64, f64),
}

/// One row's goal, its reference, or both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Name of the row.
    pub(super) what: &'static str,
    pub(super) goal: Option<Goal>,
    /// Name of the row it is divided by.
    pub(super) reference: Option<&'static str>,
}

/// Names that more than one place uses.
pub(super) mod rows {
    pub(in super::super) const NGINX_GET: &str = "reference: nginx answers GET";
    pub(in super::super) const COMMITS: &str = "reference: durable single-row commits, 32 clients";
    pub(in super::super) const REDIS: &str = "reference: Redis SET of 500 bytes, unpipelined";
    pub(in super::super) const POSTS_TO_NGINX: &str = "reference: POSTs of 600 bytes to nginx";
    pub(in super::super) const POSTS_TO_BARE: &str = "reference: POSTs of 600 bytes to the bare server";
    pub(in super::super) const INTO_NGINX: &str = "accepted and delivered, into nginx";
    pub(in super::super) const INTO_BARE: &str = "accepted and delivered, into the bare server";
    pub(in super::super) const TRANSACTIONS: &str = "transactions an event";
    pub(in super::super) const FAN_OUT: &str = "fan-out 1 → 10, deliveries";
    pub(in super::super) const INGEST: &str = "ingest alone, delivery off";
    pub(in super::super) const DRAIN: &str = "drain alone";
    pub(in super::super) const BARE_ANSWERS: &str = "reference: bare answers of the size of /me";
    pub(in super::super) const MANY_KEYS: &str = "decisions on /me, many keys";
    pub(in super::super) const ONE_KEY: &str = "decisions on /me, one key";
    pub(in super::super) const PROXY_PASS: &str = "reference: nginx proxy_pass";
    pub(in super::super) const FORWARDING: &str = "forwarding a product route";
}

const fn goal(what: &'static str, goal: Goal) -> Target {
    Target { what, goal: Some(goal), reference: None }
}

const fn beside(what: &'static str, goal: Goal, reference: &'static str) -> Target {
    Target { what, goal: Some(goal), reference: Some(reference) }
}

const fn compared(what: &'static str, reference: &'static str) -> Target {
    Target { what, goal: None, reference: Some(reference) }
}

/// Every row that has a goal or a reference.
pub(super) const TARGETS: &[Target] = &[
    beside(rows::INTO_NGINX, Goal::AtLeastAndNeverUnder(15_000.0, 0.20), rows::POSTS_TO_NGINX),
    compared(rows::INTO_BARE, rows::POSTS_TO_BARE),
    goal("CPU an event: platform, Postgres and Redis", Goal::AtMost(130.0)),
    goal(rows::TRANSACTIONS, Goal::AtMost(0.05)),
    goal("WAL an event", Goal::AtMost(1_300.0)),
    goal("Redis commands an event", Goal::AtMost(1.5)),
    goal("resident memory at full load: gateway", Goal::AtMost(120.0)),
    goal("resident memory at full load: worker", Goal::AtMost(120.0)),
    goal(rows::FAN_OUT, Goal::AtLeast(25_000.0)),
    goal(rows::INGEST, Goal::AtLeast(25_000.0)),
    goal(rows::DRAIN, Goal::AtLeast(20_000.0)),
    goal("accept → arrive at 100/s, p50", Goal::AtMost(1.3)),
    goal("accept → arrive at 100/s, p99", Goal::AtMost(3.5)),
    beside("acknowledged at 100/s, p50", Goal::AtMost(0.8), "reference: one row committed at 100/s, p50"),
    goal("accept → arrive at 300/s, p50", Goal::AtMost(1.3)),
    goal("accept → arrive at 300/s, p99", Goal::AtMost(3.5)),
    goal("accept → arrive at 3000/s, p50", Goal::AtMost(3.0)),
    goal("accept → arrive at 3000/s, p99", Goal::AtMost(15.0)),
    beside(rows::MANY_KEYS, Goal::Ratio(0.6), rows::BARE_ANSWERS),
    beside(rows::ONE_KEY, Goal::Ratio(0.7), rows::BARE_ANSWERS),
    goal("added by a decision at 1000/s, p50", Goal::AtMost(0.3)),
    goal("added by a decision at 1000/s, p99", Goal::AtMost(1.5)),
    beside(rows::FORWARDING, Goal::Ratio(0.8), rows::PROXY_PASS),
    goal("resident memory idle: api-gateway", Goal::AtMost(30.0)),
    goal("resident memory idle: delivery-worker", Goal::AtMost(30.0)),
    goal("resident memory idle: admin", Goal::AtMost(30.0)),
    goal("resident memory idle: monitoring", Goal::AtMost(30.0)),
    goal("start to ready: api-gateway", Goal::AtMost(300.0)),
    goal("start to ready: delivery-worker", Goal::AtMost(300.0)),
    goal("start to ready: admin", Goal::AtMost(300.0)),
    goal("start to ready: monitoring", Goal::AtMost(300.0)),
];

impl Goal {
    /// As it stands in the table.
    pub(super) fn shown(self) -> String {
        match self {
            Self::AtLeast(figure) => format!("≥ {figure}"),
            Self::AtMost(figure) => format!("≤ {figure}"),
            Self::Ratio(ratio) => format!("≥ {ratio} of the reference"),
            Self::AtLeastAndNeverUnder(figure, ratio) => format!("≥ {figure}, never under {ratio} of the reference"),
        }
    }

    /// Whether it is reached; `None` when it asks for a ratio that there is not.
    pub(super) fn is_reached(self, figure: Spread, ratio: Option<Spread>) -> Option<bool> {
        match self {
            Self::AtLeast(goal) => Some(figure.median >= goal),
            Self::AtMost(goal) => Some(figure.median <= goal),
            Self::Ratio(goal) => Some(ratio?.median >= goal),
            Self::AtLeastAndNeverUnder(goal, never_under) => {
                Some(figure.median >= goal && ratio?.lowest >= never_under)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(lowest: f64, median: f64, highest: f64) -> Spread {
        Spread { lowest, median, highest }
    }

    #[test]
    fn medians_decide() {
        let figure = spread(1.0, 5.0, 9.0);
        assert_eq!(Goal::AtLeast(5.0).is_reached(figure, None), Some(true));
        assert_eq!(Goal::AtLeast(5.1).is_reached(figure, None), Some(false));
        assert_eq!(Goal::AtMost(5.0).is_reached(figure, None), Some(true));
        assert_eq!(Goal::AtMost(4.9).is_reached(figure, None), Some(false));
    }

    #[test]
    fn ratios_decide_where_they_are_asked_for() {
        let figure = spread(1.0, 5.0, 9.0);
        assert_eq!(Goal::Ratio(0.6).is_reached(figure, Some(spread(0.1, 0.6, 0.7))), Some(true));
        assert_eq!(Goal::Ratio(0.6).is_reached(figure, Some(spread(0.1, 0.59, 0.7))), Some(false));
        assert_eq!(Goal::Ratio(0.6).is_reached(figure, None), None, "no reference is no pass");
        let never_under = Goal::AtLeastAndNeverUnder(5.0, 0.2);
        assert_eq!(never_under.is_reached(figure, Some(spread(0.2, 0.3, 0.4))), Some(true));
        assert_eq!(
            never_under.is_reached(figure, Some(spread(0.19, 0.3, 0.4))),
            Some(false),
            "one repetition fell short"
        );
        assert_eq!(never_under.is_reached(figure, None), None);
    }

    #[test]
    fn each_row_has_one_goal() {
        let mut names: Vec<&str> = TARGETS.iter().map(|target| target.what).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TARGETS.len());
    }
}
