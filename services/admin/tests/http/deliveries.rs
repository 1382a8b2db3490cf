//! Deliveries of any owner, and sending them again.

use onering_queue::Queue;
use serde_json::{Value, json};

use crate::support::{World, text};

const DELIVERIES: &str = "/v1/admin/external/deliveries";

/// An event of `acme` with its delivery, as the product publishes it.
async fn publish(world: &World) -> Value {
    let connection = world.database.connect().await;
    connection.execute("SELECT onering.publish_event('acme', 'ring.forged', '{\"n\": 1}')", &[]).await.unwrap();
    world.get(DELIVERIES).await.expect(200)["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_listed_by_owner_subscription_status_and_time() {
    let world = World::new().await;
    let hook = world.subscription(&json!({"owner_id": "acme", "url": "http://127.0.0.1:9/", "events": ["*"]})).await;
    let delivery = publish(&world).await;
    assert_eq!((&delivery["status"], &delivery["event_type"]), (&json!("PENDING"), &json!("ring.forged")));
    assert_eq!(delivery["attempts"], Value::Null);
    let webhook_id = text(&hook, "id");
    for (query, expected) in [
        ("owner_id=acme".to_owned(), 1),
        ("owner_id=umbrella".to_owned(), 0),
        (format!("webhook_id={webhook_id}"), 1),
        (format!("owner_id=umbrella&webhook_id={webhook_id}"), 0),
        ("status=PENDING&event_type=ring.forged".to_owned(), 1),
        ("status=DEAD".to_owned(), 0),
        ("held=true".to_owned(), 0),
        ("held=false".to_owned(), 1),
        ("held_reason=SUBSCRIPTION_DISABLED".to_owned(), 0),
        (format!("event_id={}", text(&delivery, "event_id")), 1),
        ("from=2000-01-01T00:00:00Z&to=2999-01-01T00:00:00Z".to_owned(), 1),
        ("to=2000-01-01T00:00:00Z".to_owned(), 0),
    ] {
        let page = world.get(&format!("{DELIVERIES}?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
    }
    let one = world.get(&format!("{DELIVERIES}/{}", text(&delivery, "id"))).await.expect(200);
    assert_eq!(one["attempts"], json!([]));
    let bad = world.get(&format!("{DELIVERIES}?status=LOST")).await;
    assert_eq!(bad.refusal(), (400, "INVALID_QUERY", Some("status")));
    let bad = world.get(&format!("{DELIVERIES}?held_reason=FORGOTTEN")).await;
    assert_eq!(bad.refusal(), (400, "INVALID_QUERY", Some("held_reason")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_one_is_sent_again_as_a_new_one_and_queued() {
    let world = World::new().await;
    world.subscription(&json!({"owner_id": "acme", "url": "http://127.0.0.1:9/", "events": ["*"]})).await;
    let delivery = publish(&world).await;
    let resend = format!("{DELIVERIES}/{}/resend", text(&delivery, "id"));
    assert_eq!(world.post(&resend, &json!({})).await.refusal(), (409, "CONFLICT", None), "it still waits");
    let connection = world.database.connect().await;
    let settle = "UPDATE webhook_deliveries SET status = 'DEAD', settled_at = now(), queued_until = NULL";
    connection.execute(settle, &[]).await.unwrap();
    let made = world.post(&resend, &json!({})).await.expect(202);
    assert_ne!(made["id"], delivery["id"]);
    assert_eq!((&made["original_delivery_id"], &made["status"]), (&delivery["id"], &json!("PENDING")));
    let queue = Queue::connect_to(&world.redis.url(), onering_clock::Clock::system()).unwrap();
    assert_eq!(queue.deliveries().len().await.unwrap(), 1);
    let log = world.audit().await;
    let row = log.last().unwrap();
    assert_eq!((&row["action"], &row["after"]["delivery_id"]), (&json!("delivery.resend"), &made["id"]));
    let missing = world.post(&format!("{DELIVERIES}/dlv_01h455vb4pex5vsknk084sn02q/resend"), &json!({})).await;
    assert_eq!(missing.refusal(), (404, "NOT_FOUND", None));
}
