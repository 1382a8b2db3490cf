use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use onering_delivery::{ReplayRate, ReplayStatuses, Status};
use onering_ids::{OwnerId, SubscriptionId};
use onering_problem::Problem;
use onering_store::replays::ReplayScope;
use onering_webhooks::EventType;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// The last year that RFC 3339 can write.
const LAST_YEAR: i32 = 9999;

/// What to send again. Originals are gone over: deliveries that repeat no other one and are final. One counts as
/// `DELIVERED` once it or a repeat of it was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StartReplay)]
pub(crate) struct StartReplayBody {
    /// Originals made at this instant or later.
    from: DateTime<Utc>,
    /// Originals made before this instant.
    to: DateTime<Utc>,
    /// Final statuses, or one of them: `DEAD`, `REPLAY_EXPIRED`, `DELIVERED`, `CANCELLED`; by default the first two.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["DEAD", "REPLAY_EXPIRED"]))]
    status: OneOrMore,
    /// Only of this subscription.
    #[schema(value_type = Option<String>)]
    webhook_id: Option<SubscriptionId>,
    /// Only of this event type.
    #[schema(value_type = Option<String>, example = "ring.forged")]
    event_type: Option<EventType>,
    /// Only of this partner.
    #[schema(value_type = Option<String>)]
    owner_id: Option<OwnerId>,
    /// `true` counts what there is to send again, and sends nothing.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Deliveries a second, at most: 100 by default.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    rate_per_second: Rate,
}

impl StartReplayBody {
    /// What it goes over.
    pub(super) fn scope(&self) -> Result<ReplayScope, Problem> {
        if self.from < DateTime::UNIX_EPOCH {
            return Err(Problem::invalid("from", "from must not lie before 1970."));
        }
        if self.to.year() > LAST_YEAR {
            return Err(Problem::invalid("to", format!("to must not lie after the year {LAST_YEAR}.")));
        }
        if self.from >= self.to {
            return Err(Problem::invalid("to", "to must lie after from."));
        }
        Ok(ReplayScope {
            from: self.from,
            to: self.to,
            statuses: self.status.0.clone(),
            webhook_id: self.webhook_id,
            event_type: self.event_type.clone(),
            owner_id: self.owner_id.clone(),
        })
    }

    /// How fast.
    pub(super) fn rate(&self) -> ReplayRate {
        self.rate_per_second.0
    }
}

/// One status, or a list of them.
#[derive(Debug, Default)]
struct OneOrMore(ReplayStatuses);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor)
    }
}

struct OneOrMoreVisitor;

impl<'de> Visitor<'de> for OneOrMoreVisitor {
    type Value = OneOrMore;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a status or an array of statuses")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
        checked(vec![text.parse().map_err(E::custom)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<OneOrMore, A::Error> {
        let mut statuses = Vec::new();
        while let Some(status) = sequence.next_element()? {
            statuses.push(status);
        }
        checked(statuses)
    }
}

fn checked<E: Error>(statuses: Vec<Status>) -> Result<OneOrMore, E> {
    ReplayStatuses::try_from(statuses).map(OneOrMore).map_err(E::custom)
}

#[derive(Debug, Default)]
struct Rate(ReplayRate);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let per_second = i64::deserialize(deserializer)?;
        // What does not fit is as much out of range as zero.
        ReplayRate::try_from(u32::try_from(per_second).unwrap_or(0)).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(further: &Value) -> Result<StartReplayBody, String> {
        let mut body = json!({ "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T11:00:00Z" });
        for (field, value) in further.as_object().unwrap() {
            body[field] = value.clone();
        }
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_status_a_list_or_what_failed() {
        let statuses = |further| body(&further).unwrap().scope().unwrap().statuses;
        assert_eq!(statuses(json!({})), ReplayStatuses::default());
        assert_eq!(statuses(json!({ "status": "DELIVERED" })).as_slice(), [Status::Delivered]);
        assert_eq!(statuses(json!({ "status": ["DEAD", "CANCELLED"] })).as_slice(), [Status::Dead, Status::Cancelled]);
        for bad in [json!([]), json!("PENDING"), json!(["DEAD", "dead"]), json!(7), json!(null), json!({})] {
            assert!(body(&json!({ "status": bad })).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_is_bounded() {
        assert_eq!(body(&json!({})).unwrap().rate(), ReplayRate::default());
        assert_eq!(body(&json!({ "rate_per_second": 10_000 })).unwrap().rate().per_second(), 10_000);
        for bad in [json!(0), json!(-1), json!(10_001), json!(4_294_967_297_u64), json!(1.5), json!("7"), json!(null)] {
            assert!(body(&json!({ "rate_per_second": bad })).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_lies_in_time_and_is_not_empty() {
        let field = |further| body(&further).unwrap().scope().unwrap_err().field.unwrap();
        assert_eq!(field(json!({ "from": "2026-11-22T11:00:00Z" })), "to");
        assert_eq!(field(json!({ "from": "1969-12-31T23:59:59Z" })), "from");
        assert_eq!(field(json!({ "to": "+10000-01-01T00:00:00Z" })), "to");
    }
}
