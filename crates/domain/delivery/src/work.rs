use std::time::Duration;

use onering_ids::{DeliveryId, EventId, SubscriptionId};

use crate::database_time::DatabaseTime;
use crate::lease::Lease;

/// One delivery to attempt, and the right to do so: what an entry of the stream says.
///
/// The body is not part of it: small ones travel beside it, large ones are read from the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// Its subscription.
    pub webhook_id: SubscriptionId,
    /// The right to attempt it, and the fence for the result.
    pub lease: Lease,
    /// The event's type, for a header.
    pub event_type: Box<str>,
    /// When the event was accepted, or the repeat asked for: where age and latency count from.
    pub created_at: DatabaseTime,
}

impl Work {
    /// Whether the delivery is over a subscription's age limit and is not to be sent any more.
    #[must_use]
    pub fn is_older_than(&self, max_age: Duration, now: DatabaseTime) -> bool {
        now.since(self.created_at) > max_age
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::samples::work;

    #[test]
    fn the_age_limit_itself_is_not_too_old() {
        let work = work(0);
        let hour = Duration::from_secs(3600);
        let limit = work.created_at.plus(hour);
        assert!(!work.is_older_than(hour, limit));
        assert!(work.is_older_than(hour, limit.plus(Duration::from_micros(1))));
        assert!(!work.is_older_than(Duration::ZERO, DatabaseTime::from_micros(i64::MIN)), "a clock that runs behind");
    }
}
