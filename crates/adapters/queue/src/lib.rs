//! Redis: the delivery stream, exact rate limits, shared breakers and announcements.
//!
//! Start at [`Queue`]; everything else is handed out by it. Nothing kept here is the truth: Postgres is. All of Redis
//! may be lost at any moment and costs time, never an event: the sweep finds what the stream forgot, the limits begin
//! anew, breakers learn again, and caches expire without being told to.
//!
//! - [`DeliveryStream`] and [`Consumer`]: what is in an entry is the exclusive right to attempt each of its deliveries until
//!   that one's lease ends ([`StreamEntry`], [`Pack`]). The stream is bounded ([`STREAM_BOUND`]).
//! - [`RateLimiter`]: admits exactly the limit over any number of processes, with one round trip for all requests that
//!   arrive while another is under way; [`RateScript`] is the one place that counts.
//! - [`SharedBreakers`]: one breaker for each subscription that ails, shared by all workers, changed by one script.
//! - [`Announcer`] and [`Announcements`]: "read this again", to all processes at once.
//!
//! # Connections
//!
//! Commands that come now and then (pings, announcements) go through a `deadpool` pool, which checks a
//! connection before it lends it. The hot paths do not: that check is a round trip of its own, and one multiplexed
//! connection carries any number of commands at once. There is one for pushing and settling, one for breakers, one for each [`Consumer`]
//! (a blocking read keeps a connection to itself, and the client's usual response timeout would cut it short), one for
//! each [`RateLimiter`], and one that listens for announcements. All are opened when first needed, within a second or
//! not at all, and opened again when they break or fall silent.
//!
//! A connection's socket lives on the runtime that opened it. Those shared across threads are therefore opened on the
//! runtime on which [`Queue::connect`] was called, which has to be the process's main one; a [`RateLimiter`] stays on
//! the runtime that made it, and dies with it.
//!
//! What is deliberately absent: the rules of limits and breakers (they are in `onering-rate-limit` and `onering-delivery`, and
//! the scripts are tested against them), leases (`onering-store`), and what to do about an announcement.

mod announcement;
mod announcements;
mod breaker;
mod consumer;
mod delivery_stream;
mod entry;
mod error;
mod link;
mod lua;
mod names;
mod pack;
mod pooled;
mod queue;
mod rate;
mod server_counters;
mod stream_length;
mod stream_reply;

pub use announcement::{Announcement, UnknownAnnouncement};
pub use announcements::{Announcements, Announcer};
pub use breaker::{BreakerAnswer, BreakerOutcome, BreakerSnapshot, SharedBreakers};
pub use consumer::{Batch, Consumer};
pub use delivery_stream::{DeliveryStream, PushReport, STREAM_BOUND};
pub use entry::{GarbledEntry, INLINE_BODY_LIMIT, StreamEntry};
pub use error::{Fault, QueueError};
pub use pack::{GarbledPack, PACK_LIMIT, Pack};
pub use queue::Queue;
pub use rate::{Decision, LimiterUnavailable, LocalLimits, RateLimiter, RateScript, TakeAnswer, TakeRequest, Taken};
pub use server_counters::ServerCounters;
pub use stream_reply::EntryId;
