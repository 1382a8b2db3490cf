//! The names of things: every identifier of the platform, as a type of its own.
//!
//! Purpose: an id of one kind can never be passed where another is meant, and whatever arrives as text is checked
//! once, at the edge. Entry points: [`KeyId`], [`EventId`] and their siblings (`"evt_01h…".parse::<EventId>()`),
//! [`OwnerId`] and [`Recipient`].
//!
//! Invariant: the text and the UUID of an id are two forms of the same 128 bits. Each id has exactly one text, and ids
//! sort in the same order as text, as UUID and as `uuid` column.
//!
//! Deliberately absent: making new ids. That takes a clock and randomness, so it lives in `onering-clock`, which can
//! make any [`TypedId`].

mod base32;
mod error;
mod owner;
mod recipient;
mod text;
mod typed;

pub use error::IdError;
pub use owner::OwnerId;
pub use recipient::Recipient;
pub use typed::{
    AdminKeyId, AuditId, BlockId, DeliveryId, EventId, KeyId, ReplayId, RequestId, SecretId, SubscriptionId, TypedId,
};
