use onering_webhooks::Rotation;
use serde::Serialize;
use utoipa::ToSchema;

use crate::timestamp::Timestamp;

/// How far a receiver has come with the new secret, while both sign. A receiver that never says which secret it uses shows
/// as zeros and nulls: then only a test signed with the current secret alone can tell.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Rotation)]
pub struct RotationView {
    /// When the secret was rotated.
    pub started_at: Timestamp,
    /// Until when the previous secret signs as well.
    pub previous_expires_at: Timestamp,
    /// Requests signed with both secrets so far.
    pub sent_with_both: u64,
    /// 2xx answers with `X-Webhook-Verified-With: current`.
    pub verified_with_current: u64,
    /// 2xx answers with `X-Webhook-Verified-With: previous`.
    pub verified_with_previous: u64,
    /// When an answer last named the current secret; null: none has.
    pub last_verified_with_current_at: Option<Timestamp>,
    /// When an answer last named the previous secret; null: none has.
    pub last_verified_with_previous_at: Option<Timestamp>,
    /// When the receiver first showed that it takes the current secret: by such an answer, or by a 2xx to a test signed with
    /// it alone; null: it has not.
    pub confirmed_at: Option<Timestamp>,
    /// Whether the receiver still verifies with the previous secret, by its last word; null: nothing is known.
    pub still_on_previous: Option<bool>,
}

impl From<Rotation> for RotationView {
    fn from(rotation: Rotation) -> Self {
        Self {
            started_at: rotation.started_at.into(),
            previous_expires_at: rotation.previous_expires_at.into(),
            sent_with_both: rotation.sent_with_both,
            verified_with_current: rotation.verified_with_current,
            verified_with_previous: rotation.verified_with_previous,
            last_verified_with_current_at: rotation.last_verified_with_current_at.map(Timestamp::from),
            last_verified_with_previous_at: rotation.last_verified_with_previous_at.map(Timestamp::from),
            confirmed_at: rotation.confirmed_at.map(Timestamp::from),
            still_on_previous: rotation.still_on_previous(),
        }
    }
}
