//! Events and the subscriptions that want them.
//!
//! Purpose: whatever partners and the product send is checked here once and afterwards cannot be invalid. Entry points:
//! [`NewEvent::parse`] for an event, [`NewSubscription::parse`] and [`SubscriptionChange::parse`] for a subscription,
//! [`Subscription::wants`] for whether they meet, [`envelope`] for the bytes that go out.
//!
//! Invariants: every bound here is at least as tight as the CHECK of its table; an accepted event's data can be read by
//! `jsonb`, so that no filter can make an insert fail; [`Filter::matches`] says the same as `onering.filter_matches`.
//!
//! Deliberately absent: whether a target's address may be reached (the guard of `onering-webhook-client` decides), which
//! partner may do what (`onering-keys`), and the wire forms of answers (they live beside their handlers).

mod custom_headers;
mod decimal;
mod envelope;
mod event_data;
mod event_type;
mod filter;
mod filter_match;
mod idempotency;
mod new_event;
mod rotation;
mod settings;
mod subscription;
mod subscription_change;
mod subscription_input;
mod subscription_state;
mod target_url;
mod test_event;

pub use custom_headers::CustomHeaders;
pub use envelope::envelope;
pub use event_data::{DataError, EventData};
pub use event_type::{EventPattern, EventType, EventTypeError, PatternError};
pub use filter::{Filter, FilterError};
pub use idempotency::{ContentDigest, IdempotencyKey, IdempotencyKeyError};
pub use new_event::{EventInput, NewEvent};
pub use rotation::Rotation;
pub use settings::{SubscriptionSettings, bounds, rotation_overlap};
pub use subscription::Subscription;
pub use subscription_change::{SubscriptionChange, SubscriptionPatch, WantedStatus};
pub use subscription_input::{NewSubscription, SubscriptionInput};
pub use subscription_state::{
    DisabledBy, Disablement, SubscriptionState, SubscriptionStatus, UnknownDisabledBy, UnknownStatus,
};
pub use target_url::TargetUrl;
pub use test_event::{SignWith, sign_with, test_data};
