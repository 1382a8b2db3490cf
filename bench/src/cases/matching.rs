use std::hint::black_box;

use onering_webhooks::{EventPattern, EventType, Filter};
use serde_json::{Value, json};

use super::events::read;
use crate::samples::EVENT;
use crate::{Prepared, routine};

/// One event type against the patterns of some subscriptions.
pub(super) fn patterns() -> Prepared {
    let event_type: EventType = "order.shipped.express".parse()?;
    let patterns =
        ["*", "order.*", "order.shipped.*", "order.shipped.express", "order.shipped", "invoice.*", "ring.forged"];
    let patterns = patterns.into_iter().map(str::parse).collect::<Result<Vec<EventPattern>, _>>()?;
    routine(move || patterns.iter().filter(|pattern| pattern.matches(black_box(&event_type))).count())
}

/// A subscription's filter, from its stored form.
pub(super) fn parse_filter() -> Prepared {
    let stored = stored();
    routine(move || Filter::parse(black_box(&stored)))
}

/// A filter with a condition of every kind, all of which an event's data meets.
pub(super) fn filter() -> Prepared {
    let filter = Filter::parse(&stored())?;
    let data = read(EVENT)?.data.to_value()?;
    routine(move || black_box(&filter).matches(black_box(&data)))
}

fn stored() -> Value {
    json!({
        "bearer": [null],
        "history.-1.step": ["cast", "quenched"],
        "maker.city": [{"prefix": "Barad"}],
        "maker.heat_c": [{"numeric": [">", 1000, "<=", 1064.18]}],
        "price.currency": [{"anything-but": ["USD", "GBP"]}],
        "returned_at": [{"exists": false}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_patterns_match() {
        assert_eq!(patterns().unwrap().show(), "4");
    }

    #[test]
    fn the_filter_is_met() {
        assert!(parse_filter().unwrap().show().starts_with("Ok("));
        assert_eq!(filter().unwrap().show(), "true");
    }
}
