//! Who calls, whether they come in, and what every answer says about it.
//!
//! [`Caller`] and [`Recognised`] are what handlers take: each stands for a call that passed the access decision, whose order
//! is `onering_keys::access`'s, with the permission in its type. What becomes known on the way lies in the request's
//! [`Standing`](standing::Standing), from which [`answer_scope`] gives every answer beneath `/v1/external` its headers, also
//! those made by extractors, by refusals and by upstreams.

mod admission;
mod answer_scope;
mod blocklist;
mod caller;
mod key_directory;
mod permission;
mod presented_token;
mod recent_keys;
mod standing;

pub(crate) use admission::{Gate, Turnstile};
pub(crate) use answer_scope::{answer_scope, remove_our_headers};
pub(crate) use blocklist::Blocklist;
pub(crate) use caller::{Caller, Recognised};
pub(crate) use key_directory::KeyDirectory;
pub(crate) use permission::{AnyKey, ChangeWebhooks, Needs, PublishEvents, SeeWebhooks};
pub(crate) use presented_token::PresentedToken;
