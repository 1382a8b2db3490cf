//! `onering smoke`: five phases from health to a verified delivery, against a running platform, leaving nothing behind.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use onering_clock::Clock;
use onering_ids::RequestId;
use onering_signing::{Scheme, SigningSecret, Verifier};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::api::Api;
use crate::args::{Sink, Smoke};
use crate::output;
use crate::sink::RunningSink;

/// How long a delivery may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// What later phases need of earlier ones, and what has to be removed afterwards.
struct Run {
    operator: Api,
    backend: Url,
    sink: Url,
    partner: Option<Api>,
    key_id: Option<String>,
    webhook_id: Option<String>,
    secret: Option<String>,
}

#[derive(Clone, Copy)]
enum Phase {
    Health,
    KeyCreation,
    RateLimitHeaders,
    Subscription,
    Delivery,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Health, "Backend health"),
    (Phase::KeyCreation, "API key creation"),
    (Phase::RateLimitHeaders, "Rate limit headers"),
    (Phase::Subscription, "Webhook subscription"),
    (Phase::Delivery, "Webhook delivery"),
];

pub(crate) async fn run(options: Smoke) -> anyhow::Result<ExitCode> {
    let own_sink = match &options.webhook_sink {
        Some(_) => None,
        None => Some(RunningSink::start(&Sink {
            port: 0,
            secret: None,
            fail: None,
            times: None,
            delay: 0,
            replay_window: 300,
            quiet: true,
        })?),
    };
    let sink = match (&options.webhook_sink, &own_sink) {
        (Some(url), _) => url.clone(),
        (None, Some(own)) => own.url().parse()?,
        (None, None) => bail!("no sink"),
    };
    let mut run = Run {
        operator: Api::new(&options.backend_url, &options.admin_key)?,
        backend: options.backend_url.clone(),
        sink,
        partner: None,
        key_id: None,
        webhook_id: None,
        secret: None,
    };
    let mut results: Vec<(&str, Result<(), String>)> = Vec::new();
    for (phase, name) in PHASES {
        let result = run.phase(phase).await.map_err(|error| format!("{error:#}"));
        if !options.json {
            match &result {
                Ok(()) => println!("✅ {name}: PASSED"),
                Err(error) => println!("❌ {name}: FAILED ({error})"),
            }
        }
        let failed = result.is_err();
        results.push((name, result));
        if failed && options.bail {
            break;
        }
    }
    if let Err(error) = run.clean_up().await {
        eprintln!("the smoke test could not clean up after itself: {error:#}");
    }
    Ok(report(&results, options.json))
}

/// Prints the total; success only when every phase passed.
fn report(results: &[(&str, Result<(), String>)], as_json: bool) -> ExitCode {
    let passed = results.iter().filter(|(_, result)| result.is_ok()).count();
    let all = passed == PHASES.len();
    if as_json {
        let phases: Vec<Value> = results
            .iter()
            .map(|(name, result)| json!({ "name": name, "passed": result.is_ok(), "error": result.as_ref().err() }))
            .collect();
        output::json(&json!({ "passed": passed, "total": PHASES.len(), "phases": phases }));
    } else {
        let verdict = if all { "PASSED ✅" } else { "PASSED, the rest FAILED ❌" };
        println!("Total: {passed}/{} {verdict}", PHASES.len());
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Run {
    async fn phase(&mut self, phase: Phase) -> anyhow::Result<()> {
        match phase {
            Phase::Health => self.health().await,
            Phase::KeyCreation => self.key_creation().await,
            Phase::RateLimitHeaders => self.rate_limit_headers().await,
            Phase::Subscription => self.subscription().await,
            Phase::Delivery => self.delivery().await,
        }
    }

    async fn health(&self) -> anyhow::Result<()> {
        self.operator.get("/healthz").await?;
        // Behind it, the gateway itself: an unauthenticated call must be refused as such.
        let anonymous = Api::new(&self.backend, "")?.call(Method::GET, "/v1/external/me", None).await?;
        ensure!(anonymous.status == 401, "a call without a key was answered {}, not 401", anonymous.status);
        Ok(())
    }

    async fn key_creation(&mut self) -> anyhow::Result<()> {
        let created = self
            .operator
            .post("/v1/admin/external/keys", &json!({ "name": "smoke test", "owner_id": "smoke-test", "tier": "free" }))
            .await?;
        self.key_id = Some(text(&created, "key_id")?);
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
        ensure!(second < first || second == 99, "X-RateLimit-Remaining went from {first} to {second}");
        Ok(())
    }

    async fn subscription(&mut self) -> anyhow::Result<()> {
        let body = json!({ "url": self.sink.join("/webhook")?, "events": ["smoke.test"], "description": "smoke test" });
        let created = self.partner()?.post("/v1/external/webhooks", &body).await?;
        self.webhook_id = Some(text(&created, "id")?);
        self.secret = Some(text(&created, "secret")?);
        let listed = self.partner()?.get("/v1/external/webhooks").await?;
        let ids = listed["items"].as_array().context("the list has no items")?;
        ensure!(ids.iter().any(|item| item["id"] == created["id"]), "the new subscription is not in the list");
        ensure!(ids.iter().all(|item| item.get("secret").is_none()), "the list shows a secret");
        Ok(())
    }

    /// Publishes an event, finds that very event at the sink, checks its signatures, and the delivery's state.
    async fn delivery(&self) -> anyhow::Result<()> {
        let marker = Clock::system().fresh_id::<RequestId>().to_string();
        let accepted = self
            .partner()?
            .post("/v1/external/events", &json!({ "event_type": "smoke.test", "data": { "marker": marker } }))
            .await?;
        let event_id = text(&accepted, "event_id")?;
        let arrival = self.wait_for_arrival(&event_id).await?;
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
        }
        Ok(())
    }

    async fn wait_until_delivered(&self, event_id: &str) -> anyhow::Result<()> {
        let settled = tokio::time::timeout(PATIENCE, async {
            loop {
                let list = self.operator.get("/v1/admin/external/deliveries?owner_id=smoke-test&limit=50").await?;
                let items = list["items"].as_array().cloned().unwrap_or_default();
                if items.iter().any(|item| item["event_id"] == event_id && item["status"] == "DELIVERED") {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        });
        settled.await.with_context(|| format!("the delivery of {event_id} did not become DELIVERED"))?
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        if let Some(webhook_id) = &self.webhook_id {
            self.operator.delete(&format!("/v1/admin/external/webhooks/{webhook_id}")).await?;
        }
        if let Some(key_id) = &self.key_id {
            self.operator.delete(&format!("/v1/admin/external/keys/{key_id}")).await?;
        }
        Ok(())
    }

    fn partner(&self) -> anyhow::Result<&Api> {
        self.partner.as_ref().context("there is no key")
    }
}

fn text(object: &Value, field: &str) -> anyhow::Result<String> {
    object.get(field).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("the answer has no {field}"))
}

/// `X-RateLimit-Remaining`, with its companions checked to be there.
fn remaining(answer: &crate::api::Answer) -> anyhow::Result<u64> {
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-policy", "ratelimit"] {
        ensure!(answer.header(name).is_some(), "the header {name} is missing");
    }
    Ok(answer.header("x-ratelimit-remaining").unwrap_or_default().parse()?)
}
