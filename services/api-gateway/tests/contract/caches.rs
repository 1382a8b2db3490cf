//! What is remembered is forgotten in time. That a second is enough is measured where nothing runs beside it, by
//! `tests/tests/switches.rs`; here it is told from what would have been forgotten anyway.

use std::time::{Duration, Instant};

use onering_ids::BlockId;
use onering_queue::Announcement;
use onering_store::api_keys;
use onering_store::blocklist::{self, BlockTarget, NewBlock};
use onering_testkit::eventually;
use reqwest::Method;

use crate::support::{SOON, Stack, TestKey, send};

/// What nobody announces is known after this long, and not sooner.
const UNANNOUNCED: Duration = Duration::from_secs(5);

/// Makes changes, waiting until each is seen, in less time than would have shown them without announcements; `changes` says
/// whether the old state was remembered. On a busy machine that may take some tries; and it is done twice, as at the start a
/// first connection has everything read again.
async fn announced(what: &str, changes: impl AsyncFn() -> bool) {
    for _ in 0..2 {
        eventually(SOON * 3, what, async || {
            let began = Instant::now();
            let remembered = changes().await;
            let took = began.elapsed();
            if remembered && took < UNANNOUNCED { Ok(()) } else { Err(format!("{remembered}, seen after {took:?}")) }
        })
        .await;
    }
}

async fn wait_for_status(stack: &Stack, key: &TestKey, status: u16, what: &str) {
    eventually(SOON, what, async || stack.get("/me", key).await.status == status).await;
}

#[tokio::test]
async fn a_disabled_key_is_refused_when_it_is_announced() {
    let stack = Stack::start().await;
    announced("the key is refused and let in again before it is forgotten", async || {
        let key = stack.usual_key().await;
        assert_eq!(stack.get("/me", &key).await.status, 200);
        api_keys::disable(&mut stack.connection().await, key.id).await.unwrap();
        let remembered = stack.get("/me", &key).await.status == 200;
        stack.announce(Announcement::Key(key.token.digest())).await;
        wait_for_status(&stack, &key, 403, "the key is refused").await;
        api_keys::enable(&mut stack.connection().await, key.id).await.unwrap();
        stack.announce(Announcement::Keys).await;
        wait_for_status(&stack, &key, 200, "the key is let in again").await;
        remembered
    })
    .await;
}

#[tokio::test]
async fn a_blocked_address_is_refused_when_it_is_announced() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let block_id: BlockId = stack.clock.fresh_id();
    let call = async || {
        send(stack.with_key(Method::GET, "/me", &key).header("x-forwarded-for", "192.0.2.9")).await.status.as_u16()
    };
    let announce = async |status: u16| {
        stack.announce(Announcement::Blocklist).await;
        eventually(SOON, "the announced list holds", async || call().await == status).await;
    };
    announced("the address is blocked and free again before the list is read anyway", async || {
        let target = BlockTarget::Addresses("192.0.2.0/24".parse().unwrap());
        let new = NewBlock { block_id, target, reason: String::new(), expires_at: None, created_by: "test".to_owned() };
        blocklist::add(&mut stack.connection().await, new).await.unwrap();
        let remembered = call().await == 200;
        announce(403).await;
        blocklist::remove(&mut stack.connection().await, block_id).await.unwrap().unwrap();
        announce(200).await;
        remembered
    })
    .await;
}

#[tokio::test]
async fn without_an_announcement_it_takes_five_seconds() {
    let stack = Stack::start().await;
    eventually(SOON * 3, "a key that was disabled in time is still remembered", async || {
        let key = stack.usual_key().await;
        let began = Instant::now();
        assert_eq!(stack.get("/me", &key).await.status, 200);
        api_keys::disable(&mut stack.connection().await, key.id).await.unwrap();
        let remembered = stack.get("/me", &key).await.status == 200;
        wait_for_status(&stack, &key, 403, "the key is refused").await;
        // Or the machine was too busy for this to tell.
        remembered && began.elapsed() < UNANNOUNCED + Duration::from_secs(1)
    })
    .await;
}

#[tokio::test]
async fn keys_made_a_moment_ago_work_at_once() {
    let stack = Stack::start().await;
    for _ in 0..20 {
        let key = stack.usual_key().await;
        assert_eq!(stack.get("/me", &key).await.status, 200);
    }
}
