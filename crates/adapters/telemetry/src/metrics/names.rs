//! Which names metrics and labels may have.

use crate::error::MetricsError;

/// What every metric of the platform begins with.
const PREFIX: &str = "onering_";

/// Endings that the text format makes itself or that belong to counters.
const RESERVED_ENDINGS: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// Kinds of metrics, by what their names must end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    Counter,
    Gauge,
    Histogram,
}

/// Checks a metric's name and help text.
pub(crate) fn check(kind: NameKind, name: &str, help: &str) -> Result<(), MetricsError> {
    let refuse = |rule| Err(MetricsError::Name { name: name.to_owned(), rule });
    if !name.starts_with(PREFIX) {
        return refuse("it must begin with onering_");
    }
    if !is_snake_case(name) {
        return refuse("it must have lower-case letters, digits and single underscores only");
    }
    let is_counter = kind == NameKind::Counter;
    if is_counter && !name.ends_with("_total") {
        return refuse("a counter must end in _total");
    }
    if !is_counter && RESERVED_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return refuse("only a counter may end in _total, and nothing in _bucket, _sum or _count");
    }
    if ["_ms", "_millis", "_milliseconds", "_minutes", "_kb"].iter().any(|unit| name.contains(unit)) {
        return refuse("units are seconds and bytes");
    }
    if help.trim().is_empty() {
        return Err(MetricsError::Help { name: name.to_owned() });
    }
    Ok(())
}

/// Checks a label's name.
pub(crate) fn check_label(name: &str, label: &str) -> Result<(), MetricsError> {
    let refuse = |rule| Err(MetricsError::Label { name: name.to_owned(), label: label.to_owned(), rule });
    if !is_snake_case(label) {
        return refuse("it must have lower-case letters, digits and single underscores only");
    }
    if ["le", "quantile", "service", "job", "instance"].contains(&label) {
        return refuse("the name is taken");
    }
    Ok(())
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        check(NameKind::Counter, "onering_gateway_requests_total", "Requests.").unwrap();
        check(NameKind::Gauge, "onering_queue_entries", "Entries.").unwrap();
        check(NameKind::Histogram, "onering_attempt_duration_seconds", "Time.").unwrap();
        check_label("onering_a", "code").unwrap();
    }

    #[test]
    fn every_rule_refuses() {
        use NameKind::{Counter, Gauge, Histogram};
        for (kind, name) in [
            (Counter, "requests_total"),
            (Counter, "onering_requests"),
            (Counter, "onering_Requests_total"),
            (Counter, "onering__total"),
            (Gauge, "onering_queue_total"),
            (Gauge, "onering_queue_count"),
            (Gauge, "onering_queue_"),
            (Histogram, "onering_time_ms"),
            (Histogram, "onering_time_bucket"),
            (Gauge, "onering_café"),
        ] {
            assert!(check(kind, name, "Help.").is_err(), "{name}");
        }
        assert!(check(Gauge, "onering_queue", " ").is_err());
        for label in ["le", "service", "Code", "", "a-b", "1st"] {
            assert!(check_label("onering_a", label).is_err(), "{label}");
        }
    }
}
