//! Names of the request headers of a delivery, as they go over the wire.

/// The signature of `x-webhook`; and of `timestamp-body`, unless both schemes are chosen.
pub const SIGNATURE: &str = "X-Webhook-Signature";
/// The signature of `timestamp-body` when `x-webhook` is chosen as well and has [`SIGNATURE`].
pub const SIGNATURE_TIMESTAMP_BODY: &str = "X-Webhook-Signature-Timestamp-Body";
/// When the attempt was signed, in Unix seconds.
pub const TIMESTAMP: &str = "X-Webhook-Timestamp";
/// The event's id, the same for every attempt.
pub const EVENT_ID: &str = "X-Webhook-Event-ID";
/// The event's type.
pub const EVENT: &str = "X-Webhook-Event";
/// The delivery's id.
pub const DELIVERY_ID: &str = "X-Webhook-Delivery-ID";
/// The number of the attempt, from 1.
pub const ATTEMPT: &str = "X-Webhook-Attempt";
/// What a receiver may say about a request it takes: which of the sender's keys its own is, `current` or `previous`.
pub const VERIFIED_WITH: &str = "X-Webhook-Verified-With";
/// What a receiver says about a request it refuses: `REPLAY_EXPIRED`.
pub const ERROR: &str = "X-Webhook-Error";
/// Standard Webhooks 1.0: the event's id.
pub const STANDARD_ID: &str = "webhook-id";
/// Standard Webhooks 1.0: when the attempt was signed, in Unix seconds.
pub const STANDARD_TIMESTAMP: &str = "webhook-timestamp";
/// Standard Webhooks 1.0: the signatures.
pub const STANDARD_SIGNATURE: &str = "webhook-signature";
