//! What several cases work on. Constant, so that every run does the same.

use onering_ids::{DeliveryId, EventId, SubscriptionId};

/// 2026-11-22T00:00:00Z.
pub(crate) const NOW_UNIX_S: i64 = 1_795_305_600;

/// An event as a publisher sends it: 500 bytes, as are the bodies that are signed.
pub(crate) const EVENT: &str = concat!(
    r#"{"event_type":"ring.forged","owner_id":"acme","occurred_at":"2026-11-21T23:59:59.250Z","data":{"#,
    r#""ring_id":"ring_01kanvmz3xe5q9q5wv0z2m6j4t","name":"The \"One\" Ring \u2014 Nenya's sister","#,
    r#""weight_g":12.75,"diameter_mm":19,"inscribed":true,"bearer":null,"tags":["gold","plain","unique"],"#,
    r#""maker":{"id":"smith-7","city":"Barad-dûr","heat_c":1064.18},"price":{"amount":1250000,"currency":"EUR"},"#,
    r#""history":[{"at":"2026-11-20T08:00:00Z","step":"smelting"},{"at":"2026-11-21T17:30:00Z","step":"quenched"}]}}"#,
);

pub(crate) fn event_id() -> EventId {
    EventId::floor(1_795_305_600_123)
}

pub(crate) fn delivery_id() -> DeliveryId {
    DeliveryId::floor(1_795_305_600_124)
}

pub(crate) fn webhook_id() -> SubscriptionId {
    SubscriptionId::floor(1_790_000_000_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_event_has_its_size() {
        assert_eq!(super::EVENT.len(), 500);
    }
}
