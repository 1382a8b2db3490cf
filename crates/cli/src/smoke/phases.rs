//! The five phases: what each does, what it expects, and what has to be removed afterwards.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use onering_clock::Clock;
use onering_ids::RequestId;
use onering_signing::{Scheme, SigningSecret, Verifier};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::api::{Answer, Api, query};
use crate::made::Made;

/// How long a delivery may take to arrive, and to be settled after that: longer than a lease (30 s), after which the sweep
/// finds what Redis has lost. A platform whose Redis has just been away is slow, not broken.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(50);
/// Whose key and subscription the test makes.
const PARTNER: &str = "smoke-test";

/// One phase.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Health,
    KeyCreation,
    RateLimitHeaders,
    Subscription,
    Delivery,
}

impl Phase {
    /// All, in their order: each needs what those before it made.
    pub(super) const ALL: [Self; 5] =
        [Self::Health, Self::KeyCreation, Self::RateLimitHeaders, Self::Subscription, Self::Delivery];

    /// As it is printed.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Health => "Backend health",
            Self::KeyCreation => "API key creation",
            Self::RateLimitHeaders => "Rate limit headers",
            Self::Subscription => "Webhook subscription",
            Self::Delivery => "Webhook delivery",
        }
    }
}

/// A run of the phases: what later ones need of earlier ones, and what has to be removed afterwards.
pub(super) struct Run {
    operator: Api,
    anonymous: Api,
    backend: Url,
    sink: Url,
    partner: Option<Api>,
    made: Made,
    secret: Option<String>,
}

impl Run {
    /// A run against the platform at `backend`, delivering to the sink at `sink`.
    pub(super) fn new(backend: Url, admin_key: &str, sink: Url) -> anyhow::Result<Self> {
        Ok(Self {
            operator: Api::new(&backend, admin_key)?,
            anonymous: Api::new(&backend, "")?,
            backend,
            sink,
            partner: None,
            made: Made::default(),
            secret: None,
        })
    }

    /// Goes through one phase.
    pub(super) async fn phase(&mut self, phase: Phase) -> anyhow::Result<()> {
        match phase {
            Phase::Health => self.health().await,
            Phase::KeyCreation => self.key_creation().await,
            Phase::RateLimitHeaders => self.rate_limit_headers().await,
            Phase::Subscription => self.subscription().await,
            Phase::Delivery => self.delivery().await,
        }
    }

    async fn health(&self) -> anyhow::Result<()> {
        self.anonymous.get("/healthz").await?;
        // Behind it, the gateway itself: a call without a key must be refused as such.
        let refused = self.anonymous.call(Method::GET, "/v1/external/me", None).await?;
        match refused.body["code"].as_str() {
            // The second where this address has just failed often.
            Some("MISSING_API_KEY" | "TOO_MANY_AUTH_FAILURES") => Ok(()),
            _ => bail!("a call without a key was not refused as such: {:?}", refused.success()),
        }
    }

    async fn key_creation(&mut self) -> anyhow::Result<()> {
        let created = self
            .operator
            .post("/v1/admin/external/keys", &json!({ "name": "smoke test", "owner_id": PARTNER, "tier": "free" }))
            .await?;
        self.made.key_id = Some(text(&created, "key_id")?);
        let partner = Api::new(&self.backend, &text(&created, "api_key")?)?;
        let me = partner.get("/v1/external/me").await?;
        ensure!(me["key_id"] == created["key_id"], "/me shows another key: {}", me["key_id"]);
        self.partner = Some(partner);
        Ok(())
    }

    async fn rate_limit_headers(&self) -> anyhow::Result<()> {
        let partner = self.partner()?;
        let first = remaining(&partner.call(Method::GET, "/v1/external/me", None).await?)?;
        let second = remaining(&partner.call(Method::GET, "/v1/external/me", None).await?)?;
        // Two calls apart by one, unless the hour ended between them.
        ensure!(second + 1 == first || second > first, "X-RateLimit-Remaining went from {first} to {second}");
        Ok(())
    }

    async fn subscription(&mut self) -> anyhow::Result<()> {
        let body = json!({ "url": self.sink.join("/webhook")?, "events": ["smoke.test"], "description": "smoke test" });
        let created = self.partner()?.post("/v1/external/webhooks", &body).await?;
        self.made.webhook_id = Some(text(&created, "id")?);
        self.secret = Some(text(&created, "secret")?);
        let listed = self.partner()?.get("/v1/external/webhooks").await?;
        let ids = listed["items"].as_array().context("the list has no items")?;
        ensure!(ids.iter().any(|item| item["id"] == created["id"]), "the new subscription is not in the list");
        ensure!(ids.iter().all(|item| item.get("secret").is_none()), "the list shows a secret");
        Ok(())
    }

    /// Publishes an event, finds that very event at the sink, checks its signatures, and the delivery's state.
    async fn delivery(&self) -> anyhow::Result<()> {
        ensure!(self.made.webhook_id.is_some(), "there is no subscription to deliver to");
        let marker = Clock::system().fresh_id::<RequestId>().to_string();
        let accepted = self
            .partner()?
            .post("/v1/external/events", &json!({ "event_type": "smoke.test", "data": { "marker": marker } }))
            .await?;
        let event_id = text(&accepted, "event_id")?;
        let arrival = self.wait_for_arrival(&event_id).await?;
        ensure!(
            arrival["status"] == 200,
            "the sink answered {}; a sink for this test is started without --secret and --fail",
            arrival["status"]
        );
        let body = text(&arrival, "body")?;
        ensure!(body.contains(&marker), "the delivered body is not the event that was published");
        self.check_signatures(&arrival, &body)?;
        self.wait_until_delivered(&event_id).await
    }

    async fn wait_for_arrival(&self, event_id: &str) -> anyhow::Result<Value> {
        let sink = Api::new(&self.sink, "")?;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let list = sink.get("/deliveries").await?;
                let arrivals = list["deliveries"].as_array().cloned().unwrap_or_default();
                if let Some(arrival) = arrivals.into_iter().find(|arrival| arrival["event_id"] == event_id) {
                    return anyhow::Ok(arrival);
                }
                tokio::time::sleep(POLL).await;
            }
        });
        found.await.with_context(|| format!("{event_id} did not arrive within {} s", PATIENCE.as_secs()))?
    }

    fn check_signatures(&self, arrival: &Value, body: &str) -> anyhow::Result<()> {
        let secret: SigningSecret = self.secret.as_deref().context("there is no subscription")?.parse()?;
        let verifier = Verifier::new(secret);
        let find = |name: &'static str| arrival["headers"][name.to_ascii_lowercase()].as_str();
        for scheme in [Scheme::XWebhook, Scheme::StandardWebhooks] {
            verifier
                .verify(scheme, find, body.as_bytes(), Clock::system().now().timestamp())
                .with_context(|| format!("the {} signature", scheme.as_str()))?;
            let altered =
                verifier.verify(scheme, find, format!("{body} ").as_bytes(), Clock::system().now().timestamp());
            ensure!(altered.is_err(), "the {} signature fits an altered body as well", scheme.as_str());
        }
        Ok(())
    }

    async fn wait_until_delivered(&self, event_id: &str) -> anyhow::Result<()> {
        let path = query("/v1/admin/external/deliveries", &[("event_id", Some(event_id))]);
        let settled = tokio::time::timeout(PATIENCE, async {
            loop {
                let list = self.operator.get(&path).await?;
                let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
                if items.iter().any(|item| item["status"] == "DELIVERED") {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        });
        settled.await.with_context(|| format!("the delivery of {event_id} did not become DELIVERED"))?
    }

    /// Removes what the phases made.
    pub(super) async fn clean_up(&self) -> anyhow::Result<()> {
        self.made.remove(&self.operator).await
    }

    fn partner(&self) -> anyhow::Result<&Api> {
        self.partner.as_ref().context("there is no key")
    }
}

fn text(object: &Value, field: &str) -> anyhow::Result<String> {
    object.get(field).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("the answer has no {field}"))
}

/// `X-RateLimit-Remaining`, with its companions checked to be there.
fn remaining(answer: &Answer) -> anyhow::Result<u64> {
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-policy", "ratelimit"] {
        ensure!(answer.header(name).is_some(), "the header {name} is missing");
    }
    Ok(answer.header("x-ratelimit-remaining").unwrap_or_default().parse()?)
}
