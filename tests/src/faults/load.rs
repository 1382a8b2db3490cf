//! Clients that publish events as a careful client does.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onering_testkit::eventually;
use reqwest::Method;
use serde_json::json;

use crate::api::Api;

/// Clients at once.
const CLIENTS: usize = 32;

/// What the clients know.
#[derive(Debug, Default)]
pub(super) struct Load {
    accepted: Mutex<BTreeSet<String>>,
}

impl Load {
    /// How many events were answered 202.
    pub(super) fn count(&self) -> usize {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The ids of those.
    pub(super) fn into_accepted(self) -> BTreeSet<String> {
        self.accepted.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes so many events; each is tried until it is accepted.
    pub(super) async fn publish(&self, gateways: &[Api], events: usize, patience: Duration) {
        let all = (0..events).map(|number| self.publish_one(gateways, number, patience));
        stream::iter(all).buffer_unordered(CLIENTS).collect::<()>().await;
    }

    /// No answer means "unknown": the event is published again under the same key, through another gateway.
    async fn publish_one(&self, gateways: &[Api], number: usize, patience: Duration) {
        let body = json!({ "event_type": "ring.forged", "data": { "number": number } });
        let key = format!("event-{number}");
        let mut tries = 0;
        let event = eventually(patience, "the event is accepted", async || {
            let gateway = &gateways[(number + tries) % gateways.len()];
            tries += 1;
            let headers = [("Idempotency-Key", key.as_str())];
            match gateway.try_call(Method::POST, "/v1/external/events", &headers, Some(&body)).await {
                Some(answer) if answer.status == 202 => {
                    answer.body["event_id"].as_str().map(str::to_owned).ok_or_else(|| answer.body.to_string())
                }
                Some(answer) if answer.status >= 500 => Err(answer.body.to_string()),
                Some(answer) => panic!("answered {} {}", answer.status, answer.body),
                None => Err("no answer".to_owned()),
            }
        })
        .await;
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(event);
    }
}
