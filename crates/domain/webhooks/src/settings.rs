use std::time::Duration;

use onering_problem::Problem;
use onering_signing::{Scheme, Schemes};
use serde_json::Value;

use crate::custom_headers::CustomHeaders;
use crate::event_type::EventPattern;
use crate::filter::Filter;
use crate::new_event::sentence;
use crate::target_url::TargetUrl;

/// What a subscription's owner decides: where, what, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionSettings {
    /// Where deliveries go.
    pub url: TargetUrl,
    /// Which events: 1–100 patterns, none twice.
    pub events: Vec<EventPattern>,
    /// For people.
    pub description: String,
    /// Extra request headers.
    pub headers: CustomHeaders,
    /// How long one attempt may take, in whole seconds.
    pub timeout: Duration,
    /// Attempts under way at once, at most, in each worker.
    pub max_in_flight: u16,
    /// Attempts started a second, at most, in each worker; `None`: no limit.
    pub rate_limit_per_second: Option<u32>,
    /// Older events are not sent any more, in whole seconds; `None`: any age.
    pub max_event_age: Option<Duration>,
    /// How requests are signed.
    pub signature_schemes: Schemes,
    /// Retries 4xx answers that otherwise end a delivery.
    pub retry_client_errors: bool,
    /// Conditions on the event's data; `None`: every event of the types.
    pub filter: Option<Filter>,
}

/// Bounds and defaults of the settings, in the units of the wire.
pub mod bounds {
    use std::ops::RangeInclusive;

    /// Patterns in `events`.
    pub const EVENTS: RangeInclusive<usize> = 1..=100;
    /// Characters of `description`, at most.
    pub const DESCRIPTION: usize = 500;
    /// `timeout_seconds`.
    pub const TIMEOUT_SECONDS: RangeInclusive<i64> = 1..=30;
    /// `timeout_seconds` when left out.
    pub const DEFAULT_TIMEOUT_SECONDS: i64 = 10;
    /// `max_in_flight`.
    pub const MAX_IN_FLIGHT: RangeInclusive<i64> = 1..=1024;
    /// `max_in_flight` when left out.
    pub const DEFAULT_MAX_IN_FLIGHT: i64 = 64;
    /// `rate_limit_per_second`.
    pub const RATE_LIMIT_PER_SECOND: RangeInclusive<i64> = 1..=10_000;
    /// `max_event_age_seconds`: a year at most.
    pub const MAX_EVENT_AGE_SECONDS: RangeInclusive<i64> = 1..=31_536_000;
    /// `overlap_seconds` of a secret's rotation: none to 30 days.
    pub const OVERLAP_SECONDS: RangeInclusive<i64> = 0..=2_592_000;
    /// `overlap_seconds` when left out: a day.
    pub const DEFAULT_OVERLAP_SECONDS: i64 = 86_400;
}

/// How long the previous secret signs as well after a rotation, from `overlap_seconds`.
///
/// # Errors
/// A problem that names the field when it is out of bounds.
pub fn rotation_overlap(overlap_seconds: Option<i64>) -> Result<Duration, Problem> {
    let wanted = overlap_seconds.unwrap_or(bounds::DEFAULT_OVERLAP_SECONDS);
    seconds("overlap_seconds", wanted, &bounds::OVERLAP_SECONDS)
}

pub(crate) fn events(texts: &[String]) -> Result<Vec<EventPattern>, Problem> {
    if !bounds::EVENTS.contains(&texts.len()) {
        return Err(Problem::invalid("events", "events has 1 to 100 patterns, such as [\"ring.*\"] or [\"*\"]."));
    }
    let mut patterns: Vec<EventPattern> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pattern = text.parse().map_err(|error| Problem::invalid(format!("events[{index}]"), sentence(&error)))?;
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Ok(patterns)
}

pub(crate) fn description(text: String) -> Result<String, Problem> {
    let is_plain = !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'));
    if is_plain && text.chars().count() <= bounds::DESCRIPTION {
        Ok(text)
    } else {
        Err(Problem::invalid("description", "description has at most 500 characters and no control characters."))
    }
}

pub(crate) fn schemes(texts: &[String]) -> Result<Schemes, Problem> {
    let parsed = texts.iter().enumerate().map(|(index, text)| {
        text.parse::<Scheme>()
            .map_err(|error| Problem::invalid(format!("signature_schemes[{index}]"), sentence(&error)))
    });
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    Schemes::new(parsed).ok_or_else(|| {
        Problem::invalid("signature_schemes", "signature_schemes names at least one scheme: nothing is sent unsigned.")
    })
}

pub(crate) fn filter(value: &Value) -> Result<Filter, Problem> {
    Filter::parse(value).map_err(|error| Problem::invalid(format!("filter{}", error.at), sentence(&error)))
}

/// A whole number within bounds.
fn number(field: &'static str, value: i64, bounds: &std::ops::RangeInclusive<i64>) -> Result<u32, Problem> {
    let within = bounds.contains(&value).then(|| u32::try_from(value).ok()).flatten();
    within.ok_or_else(|| {
        Problem::invalid(field, format!("{field} must be between {} and {}.", bounds.start(), bounds.end()))
    })
}

fn seconds(field: &'static str, value: i64, bounds: &std::ops::RangeInclusive<i64>) -> Result<Duration, Problem> {
    number(field, value, bounds).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

pub(crate) fn max_in_flight(value: i64) -> Result<u16, Problem> {
    // Within the bounds, so it fits.
    number("max_in_flight", value, &bounds::MAX_IN_FLIGHT).map(|value| u16::try_from(value).unwrap_or(u16::MAX))
}

pub(crate) fn rate_limit_per_second(value: i64) -> Result<u32, Problem> {
    number("rate_limit_per_second", value, &bounds::RATE_LIMIT_PER_SECOND)
}

pub(crate) fn timeout(value: i64) -> Result<Duration, Problem> {
    seconds("timeout_seconds", value, &bounds::TIMEOUT_SECONDS)
}

pub(crate) fn max_event_age(value: i64) -> Result<Duration, Problem> {
    seconds("max_event_age_seconds", value, &bounds::MAX_EVENT_AGE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_a_day_unless_said_otherwise() {
        assert_eq!(rotation_overlap(None).unwrap(), Duration::from_secs(86_400));
        assert_eq!(rotation_overlap(Some(0)).unwrap(), Duration::ZERO);
        for seconds in [-1, 2_592_001, i64::MIN, i64::MAX] {
            assert_eq!(rotation_overlap(Some(seconds)).unwrap_err().field.as_deref(), Some("overlap_seconds"));
        }
    }

    #[test]
    fn the_bounds_of_a_number_are_within_them() {
        for (value, good) in [(0, false), (1, true), (10_000, true), (10_001, false), (1 << 32, false)] {
            assert_eq!(rate_limit_per_second(value).is_ok(), good, "{value}");
        }
    }
}
