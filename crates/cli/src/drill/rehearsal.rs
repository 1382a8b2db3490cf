//! The load of a drill: its partner, what it publishes, what becomes of that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use onering_clock::Clock;
use onering_ids::RequestId;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::means::Means;
use super::progress;
use super::verdict::Figures;
use crate::api::{Api, query};
use crate::args::{Drill, Sink};
use crate::made::Made;
use crate::sink::RunningSink;

/// Whose key and subscription a drill makes.
const PARTNER: &str = "drill";
const KEYS: &str = "/v1/admin/external/keys";
/// How often an event is tried again that was not accepted, and the pause before.
const TRIES: usize = 40;
const PAUSE: Duration = Duration::from_millis(500);
/// Far above what a drill publishes in an hour.
const LIMIT: u32 = 1_000_000;

/// A drill under way.
pub(super) struct Rehearsal {
    operator: Api,
    partner: Api,
    sink: RunningSink,
    made: Made,
    /// In the data of its events, and in its subscription's filter: what a killed drill left gets nothing of this one.
    mark: String,
    clock: Clock,
}

/// What was accepted.
#[derive(Debug, Default)]
struct Accepted {
    events: BTreeSet<String>,
    /// Deliveries that the answers promised.
    promised: u64,
}

impl Rehearsal {
    /// Makes the receiver, a key and a subscription.
    pub(super) async fn prepare(options: &Drill, backend: &Url, admin_key: &str) -> anyhow::Result<Self> {
        let sink = RunningSink::start(&Sink { port: options.receiver_port, ..Sink::for_a_test() })?;
        let (operator, clock) = (Api::new(backend, admin_key)?, Clock::system());
        let name = format!("drill {}", options.fault.name());
        let expires_at = key_end(clock.now(), options).to_rfc3339_opts(SecondsFormat::Secs, true);
        let key = json!({ "owner_id": PARTNER, "name": name, "rate_limit_override": LIMIT, "expires_at": expires_at });
        let key = operator.post(KEYS, &key).await.context("the drill's key")?;
        let partner = Api::new(backend, text(&key, "api_key")?)?;
        let mut rehearsal = Self {
            operator,
            partner,
            sink,
            made: Made { key_id: Some(text(&key, "key_id")?.to_owned()), webhook_id: None },
            mark: clock.fresh_id::<RequestId>().to_string(),
            clock,
        };
        let Err(error) = rehearsal.subscribe(options.receiver_url.as_ref(), &name).await else { return Ok(rehearsal) };
        if let Err(left) = rehearsal.clean_up().await {
            progress(&format!("the drill could not clean up after itself: {left:#}"));
        }
        Err(error)
    }

    async fn subscribe(&mut self, receiver_url: Option<&Url>, name: &str) -> anyhow::Result<()> {
        let base = match receiver_url {
            Some(url) => url.clone(),
            None => self.sink.url().parse()?,
        };
        let body = json!({
            "url": base.join("/webhook")?,
            "events": ["drill.event"],
            "filter": { "drill": [self.mark] },
            "description": name,
        });
        let made = self.partner.post("/v1/external/webhooks", &body).await.context("the drill's subscription")?;
        self.made.webhook_id = Some(text(&made, "id")?.to_owned());
        self.sink.expect(text(&made, "secret")?)
    }

    /// Publishes, does the fault after a third, and waits until everything is settled or patience is over.
    pub(super) async fn go(&self, options: &Drill, means: &mut Means) -> anyhow::Result<Figures> {
        let begun = self.clock.monotonic();
        let third = options.events / 3;
        progress(&format!("publishing {} events, {} a second", options.events, options.rate));
        let mut accepted = Accepted::default();
        self.publish(&mut accepted, 0..third, options.rate).await?;
        self.go_on(options, means, &mut accepted).await?;
        let statuses = self.settled(&accepted, Duration::from_secs(options.patience.into())).await?;
        let took = self.clock.monotonic().saturating_duration_since(begun);
        let proves_nothing = means.proves_nothing().await?;
        let arrivals = self.sink.arrivals();
        Ok(Figures::new(options.fault, accepted.promised, &accepted.events, statuses, &arrivals, took, proves_nothing))
    }

    /// The fault, and the rest of the events meanwhile.
    async fn go_on(&self, options: &Drill, means: &mut Means, accepted: &mut Accepted) -> anyhow::Result<()> {
        let comes_first = means.comes_first();
        if comes_first {
            means.strike(&self.sink).await?;
        }
        let rest = self.publish(accepted, options.events / 3..options.events, options.rate);
        if comes_first {
            return rest.await;
        }
        let (published, struck) = tokio::join!(rest, means.strike(&self.sink));
        published.and(struck)
    }

    async fn publish(
        &self,
        accepted: &mut Accepted,
        numbers: std::ops::Range<u32>,
        a_second: u32,
    ) -> anyhow::Result<()> {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / a_second);
        for number in numbers {
            pace.tick().await;
            let answer = self.publish_one(number).await?;
            accepted.events.insert(text(&answer, "event_id")?.to_owned());
            accepted.promised += answer["queued"].as_u64().context("the answer has no queued")?;
        }
        Ok(())
    }

    /// As a careful client: what was not answered may have been accepted, and is sent again under the same key.
    async fn publish_one(&self, number: u32) -> anyhow::Result<Value> {
        let body = json!({ "event_type": "drill.event", "data": { "drill": self.mark, "number": number } });
        let key = self.clock.fresh_id::<RequestId>().to_string();
        let headers = [("Idempotency-Key", key.as_str())];
        let mut last = None;
        for _ in 0..TRIES {
            match self.partner.call_with(Method::POST, "/v1/external/events", &headers, Some(&body)).await {
                Ok(answer) if answer.status < 500 => return answer.success(),
                Ok(answer) => last = Some(answer.success().err().context("a server error")?),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last.context("nothing was tried")?).context("an event was not accepted")
    }

    /// The drill's deliveries by status, when none waits any more or patience is over.
    async fn settled(&self, accepted: &Accepted, patience: Duration) -> anyhow::Result<BTreeMap<String, u64>> {
        let path = query("/v1/admin/external/deliveries", &[("webhook_id", self.made.webhook_id.as_deref())]);
        let deadline = self.clock.monotonic() + patience;
        let mut reported = u64::MAX;
        loop {
            let list = self.operator.get_all(&path).await?;
            let Some(items) = list["items"].as_array() else { bail!("the list of deliveries has no items") };
            let mut statuses = BTreeMap::new();
            for item in items {
                *statuses.entry(text(item, "status")?.to_owned()).or_insert(0) += 1;
            }
            let waiting = super::verdict::waiting(&statuses);
            let all_are_there = items.len() as u64 >= accepted.promised;
            if (waiting == 0 && all_are_there) || self.clock.monotonic() > deadline {
                return Ok(statuses);
            }
            if waiting != reported {
                progress(&format!("{waiting} deliveries wait"));
                reported = waiting;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Removes what was made.
    pub(super) async fn clean_up(&self) -> anyhow::Result<()> {
        self.made.remove(&self.operator).await
    }
}

/// When the key of a drill that could not remove it ends by itself: an hour after the longest it may take.
fn key_end(now: DateTime<Utc>, options: &Drill) -> DateTime<Utc> {
    let longest = options.events.div_ceil(options.rate) + options.patience;
    now + TimeDelta::seconds(longest.into()) + TimeDelta::hours(1)
}

fn text<'v>(object: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    object.get(field).and_then(Value::as_str).with_context(|| format!("the answer has no {field}"))
}
