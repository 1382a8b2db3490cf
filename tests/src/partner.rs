//! A partner of the platform under test.

use serde_json::{Value, json};

use crate::api::Api;
use crate::stack::Stack;

/// A partner with one key.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its id.
    pub owner: String,
    /// Its key's id.
    pub key_id: String,
    /// Its key's token.
    pub token: String,
    /// The partner API through the first gateway, with its key.
    pub api: Api,
}

/// A webhook subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Its signing secret.
    pub secret: String,
}

impl Partner {
    /// Makes a key for `owner`; `further` is merged into the request.
    pub async fn create(stack: &Stack, owner: &str, further: Value) -> Self {
        let mut body = json!({ "owner_id": owner, "name": format!("key of {owner}"), "tier": "enterprise" });
        for (field, value) in further.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let key = stack.operator().post("/v1/admin/external/keys", &body).await.expect(201);
        let text = |field: &str| key[field].as_str().unwrap_or_else(|| panic!("no {field} in {key}")).to_owned();
        let token = text("api_key");
        Self { owner: owner.to_owned(), key_id: text("key_id"), api: stack.gateway(0).with_token(&token), token }
    }

    /// Subscribes to everything; `further` is merged into the request.
    pub async fn subscribe(&self, url: &str, further: Value) -> Subscription {
        let mut body = json!({ "url": url, "events": ["*"] });
        for (field, value) in further.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let made = self.api.post("/v1/external/webhooks", &body).await.expect(201);
        let text = |field: &str| made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned();
        Subscription { id: text("id"), secret: text("secret") }
    }

    /// Publishes an event; answers its id.
    pub async fn publish(&self, event_type: &str, data: Value) -> String {
        let accepted =
            self.api.post("/v1/external/events", &json!({ "event_type": event_type, "data": data })).await.expect(202);
        accepted["event_id"].as_str().unwrap_or_else(|| panic!("no event_id in {accepted}")).to_owned()
    }

    /// The deliveries of one event, as the partner sees them, each with its attempts.
    pub async fn deliveries_of(&self, event_id: &str) -> Vec<Value> {
        let page = self.api.get("/v1/external/deliveries?limit=200").await.expect(200);
        let mut found = Vec::new();
        for item in page["items"].as_array().into_iter().flatten().filter(|item| item["event_id"] == event_id) {
            let id = item["id"].as_str().unwrap_or_default();
            found.push(self.api.get(&format!("/v1/external/deliveries/{id}")).await.expect(200));
        }
        found
    }
}
