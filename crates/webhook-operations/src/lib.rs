//! Subscriptions and deliveries as people work with them: shared by the gateway, for partners, and by admin, for operators.
//!
//! Entry point: [`WebhookOperations`], made once a process. Each operation takes a [`Scope`] first: a partner's, for whom
//! nothing exists but what it owns, or an operator's, who is named in the audit log for whatever changes. The answers are
//! the views of the wire ([`SubscriptionView`], [`DeliveryView`] …).
//!
//! What always holds: an operator's change and its row of the audit log are one transaction; no address is resolved and nothing
//! is sent within one; what other processes remember is announced after the commit; a signing secret is in the
//! answer that makes it and nowhere else, sealed in its row.
//!
//! Deliberately absent: routes, permissions and switches (the services'), sending (the delivery worker's), and what a subscription
//! may look like (`onering-webhooks`).

mod announcing;
mod audit_stamp;
mod change_subscription;
mod create_subscription;
mod delete_subscription;
mod delivery_query;
mod delivery_view;
mod error;
mod masking;
mod new_keys;
mod operations;
mod public_keys;
mod read_deliveries;
mod read_subscriptions;
mod request_schemas;
mod resend_delivery;
mod rotate_secret;
mod rotation_view;
mod scope;
mod subscription_query;
mod subscription_view;
mod test_subscription;
mod test_view;
mod timestamp;

pub use audit_stamp::{AuditStamp, AuditedChange};
pub use delivery_query::DeliveryQuery;
pub use delivery_view::{AttemptView, DeliveryView};
pub use error::OperationError;
pub use masking::MASK;
pub use operations::{Parts, WebhookOperations};
pub use public_keys::{PublicKeyView, PublicKeysView};
pub use request_schemas::{SubscriptionInputSchema, SubscriptionPatchSchema};
pub use rotate_secret::RotateSecretInput;
pub use rotation_view::RotationView;
pub use scope::Scope;
pub use subscription_query::SubscriptionQuery;
pub use subscription_view::{SubscriptionView, SubscriptionWithSecret, WaitingView};
pub use test_subscription::TestInput;
pub use test_view::TestResultView;
pub use timestamp::Timestamp;
