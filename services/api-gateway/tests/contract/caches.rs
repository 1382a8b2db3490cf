//! What is remembered is forgotten in time.

use std::time::Duration;

use onering_queue::Announcement;
use onering_store::api_keys;
use onering_testkit::eventually;

use crate::support::Stack;

/// The bound of the contract.
const BOUND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_disabled_key_is_refused_within_a_second_of_its_announcement() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    assert_eq!(stack.get("/me", &key).await.status, 200);
    api_keys::disable(&mut stack.connection().await, key.id).await.unwrap();
    assert_eq!(stack.get("/me", &key).await.status, 200, "the key is remembered, or this test shows nothing");
    stack.announce(Announcement::Key(key.token.digest())).await;
    eventually(BOUND, "the key is refused", async || stack.get("/me", &key).await.status == 403).await;
    api_keys::enable(&mut stack.connection().await, key.id).await.unwrap();
    stack.announce(Announcement::Keys).await;
    eventually(BOUND, "the key is let in again", async || stack.get("/me", &key).await.status == 200).await;
}

#[tokio::test]
async fn without_an_announcement_it_takes_five_seconds() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    assert_eq!(stack.get("/me", &key).await.status, 200);
    api_keys::disable(&mut stack.connection().await, key.id).await.unwrap();
    let beneath = Duration::from_secs(6);
    eventually(beneath, "the key is refused", async || stack.get("/me", &key).await.status == 403).await;
}

#[tokio::test]
async fn keys_made_a_moment_ago_work_at_once() {
    let stack = Stack::start().await;
    for _ in 0..20 {
        let key = stack.usual_key().await;
        assert_eq!(stack.get("/me", &key).await.status, 200);
    }
}
