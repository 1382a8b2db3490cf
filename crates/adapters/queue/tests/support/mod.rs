//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests, although not in a test function")]

use std::time::Duration;

use chrono::DateTime;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, FromRedisValue, cmd};
use onering_clock::Clock;
use onering_ids::{DeliveryId, EventId, SubscriptionId};
use onering_queue::{Queue, StreamEntry};

/// Waits for a condition that ought to hold soon.
pub(crate) async fn soon(what: &str, look: impl AsyncFnMut() -> bool) {
    onering_testkit::eventually(Duration::from_secs(20), what, look).await;
}

/// A queue of ours on this Redis.
pub(crate) fn queue(url: &str) -> Queue {
    Queue::connect_to(url, Clock::system()).unwrap()
}

/// A plain connection for looking behind the crate's back.
pub(crate) async fn raw(url: &str) -> MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Sends one command given as words.
pub(crate) async fn send<T: FromRedisValue>(connection: &mut MultiplexedConnection, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async(connection).await.unwrap()
}

/// The entry number `n`, unlike any other.
pub(crate) fn entry(n: u64) -> StreamEntry {
    StreamEntry {
        delivery_id: DeliveryId::floor(n),
        event_id: EventId::floor(n + 1),
        webhook_id: SubscriptionId::floor(n + 2),
        attempt_count: n as u32,
        queued_until: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        created_at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
        event_type: "ring.created".to_owned(),
        body: n.is_multiple_of(2).then(|| format!("{{\"n\":{n}}}").into()),
    }
}
