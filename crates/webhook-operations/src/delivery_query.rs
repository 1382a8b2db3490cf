use chrono::{DateTime, Utc};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, SubscriptionId};
use onering_store::deliveries::{DeliveryFilter, Page};
use onering_web::{Cursor, Limit};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which deliveries to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Only in this status.
    #[param(value_type = Option<String>, example = "DEAD", pattern = "^(PENDING|RETRYING|DELIVERED|DEAD|REPLAY_EXPIRED|CANCELLED)$")]
    pub status: Option<Status>,
    /// Only those that are held, whatever for (`true`), or those that are not (`false`).
    pub held: Option<bool>,
    /// Only those held for this reason: `DELIVERY_OFF`, `OUTSIDE_COHORT`, `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_DISABLED`,
    /// `PARTNER_DISABLED` or `BREAKER_OPEN`.
    #[param(value_type = Option<String>, example = "SUBSCRIPTION_DISABLED")]
    pub held_reason: Option<HeldReason>,
    /// Only of this event type.
    pub event_type: Option<String>,
    /// Only of this subscription.
    #[param(value_type = Option<String>, pattern = "^wh_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    pub webhook_id: Option<SubscriptionId>,
    /// Only of this event, repeats included.
    #[param(value_type = Option<String>, pattern = "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    pub event_id: Option<EventId>,
    /// Only those made at this instant or later, RFC 3339.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before this instant, RFC 3339.
    pub to: Option<DateTime<Utc>>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    pub limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Cursor<DeliveryId>>,
}

impl DeliveryQuery {
    pub(crate) fn into_parts(self) -> (DeliveryFilter, Page) {
        let limit = u32::try_from(self.limit.get()).unwrap_or(u32::from(Limit::MAX));
        let page = Page { limit, before: self.cursor.map(Cursor::into_key) };
        let filter = DeliveryFilter {
            webhook_id: self.webhook_id,
            event_id: self.event_id,
            status: self.status,
            held: self.held,
            held_reason: self.held_reason,
            event_type: self.event_type,
            from: self.from,
            until: self.to,
        };
        (filter, page)
    }
}
