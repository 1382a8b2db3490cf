//! Partners of a benchmark: a key each, its subscriptions, and events sent at a rate.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::http_load::{Connection, WireRequest};
use super::private_stack::Addresses;
use crate::api::Api;

/// What all keys may call an hour: never reached.
const LIMIT: u64 = 1_000_000_000;

/// One partner, by its key.
pub(super) struct Partner {
    token: String,
    api: Api,
    gateway: SocketAddr,
}

impl Partner {
    /// Makes a key for this owner.
    pub(super) async fn make(stack: &Addresses, owner: &str) -> anyhow::Result<Self> {
        let token = make_key(&Api::new(&stack.admin, &stack.admin_key)?, owner).await?;
        let api = Api::new(&format!("http://{}", stack.gateway).parse()?, &token)?;
        Ok(Self { token, api, gateway: stack.gateway })
    }

    /// Subscribes to its events; answers the subscription's id.
    pub(super) async fn subscribe(&self, receiver: SocketAddr, path: &str, further: Value) -> anyhow::Result<String> {
        let mut subscription = json!({ "url": format!("http://{receiver}{path}"), "events": ["bench.event"] });
        if let (Some(fields), Value::Object(further)) = (subscription.as_object_mut(), further) {
            fields.extend(further);
        }
        let made = self.api.post("/v1/external/webhooks", &subscription).await?;
        made["id"].as_str().map(str::to_owned).context("no id in the answer")
    }

    /// The request that publishes one event.
    pub(super) fn event(&self, mark: &str) -> WireRequest {
        self.post("/v1/external/events", &event(mark))
    }

    /// The request that publishes so many events.
    pub(super) fn batch(&self, count: u32) -> WireRequest {
        let events: Vec<String> = (0..count).map(|_| event("")).collect();
        self.post("/v1/external/events/batch", &format!("[{}]", events.join(",")))
    }

    /// The request that asks who it is: a decision, and nothing else.
    pub(super) fn me(&self) -> WireRequest {
        me(self.gateway, &self.token)
    }

    /// A request with its key and without a body.
    pub(super) fn get(&self, path: &str) -> WireRequest {
        get(self.gateway, path, &self.token)
    }

    /// The header that shows its key.
    pub(super) fn authorization(&self) -> String {
        authorization(&self.token)
    }

    fn post(&self, path: &str, body: &str) -> WireRequest {
        let headers = [self.authorization(), "Content-Type: application/json".to_owned()];
        WireRequest::new("POST", path, self.gateway, &headers, body.as_bytes())
    }
}

/// Makes a key for this owner; answers its token.
pub(super) async fn make_key(operator: &Api, owner: &str) -> anyhow::Result<String> {
    let key = json!({ "name": owner, "owner_id": owner, "tier": "enterprise", "rate_limit_override": LIMIT });
    let key = operator.post("/v1/admin/external/keys", &key).await?;
    key["api_key"].as_str().map(str::to_owned).context("no token in the answer")
}

/// The request with which the bearer of this token asks who it is.
pub(super) fn me(gateway: SocketAddr, token: &str) -> WireRequest {
    get(gateway, "/v1/external/me", token)
}

fn get(gateway: SocketAddr, path: &str, token: &str) -> WireRequest {
    WireRequest::new("GET", path, gateway, &[authorization(token)], b"")
}

fn authorization(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// One event of about 500 bytes.
fn event(mark: &str) -> String {
    let filling = "x".repeat(420);
    format!("{{\"event_type\":\"bench.event\",\"data\":{{{mark}\"filling\":\"{filling}\"}}}}")
}

/// Sends a request for each of these numbers, `rate` a second, until told to stop; answers how many were accepted.
pub(super) async fn keep_sending(
    gateway: SocketAddr,
    numbers: Range<u64>,
    rate: u32,
    stop: CancellationToken,
    request: impl Fn(u64) -> WireRequest,
) -> anyhow::Result<u64> {
    let mut connection = Connection::open(gateway).await?;
    let (mut due, interval) = (Clock::system().monotonic(), Duration::from_secs(1) / rate);
    let mut sent = 0;
    for number in numbers {
        if stop.run_until_cancelled(tokio::time::sleep_until(due.into())).await.is_none() {
            break;
        }
        let status = connection.call(&request(number)).await?;
        ensure!(status == 202, "events were answered {status}");
        sent += 1;
        due += interval;
    }
    Ok(sent)
}
