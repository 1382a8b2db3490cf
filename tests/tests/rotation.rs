//! A signing secret is rotated while events flow, with and without the announcement that tells the workers of it: whatever
//! arrives is signed by a secret its receiver has at that moment, and the meter shows what the receiver says.
//!
//! The first test turns red when workers remember for longer, or judge the end of an overlap only when they load a subscription;
//! the second without the announcement, because it rotates right after a delivery.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong by failing")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use onering_clock::Clock;
use onering_signing::{Freshness, KeyAge, ReceiverKey, Scheme, Verifier, header};
use onering_testkit::{Received, Receiver, Reply, eventually};
use onering_tests::{Api, Partner, Stack, StackOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

const PATIENCE: Duration = Duration::from_secs(75);
/// Between two events.
const PACE: Duration = Duration::from_millis(50);
/// How long a worker may go on with what it remembers when it hears of nothing, and a second to finish in.
const MEMORY: Duration = Duration::from_secs(5 + 1);
/// How soon an announced rotation is known everywhere, with room for a busy machine; well below [`MEMORY`].
const HEARSAY: Duration = Duration::from_secs(3);
/// What clocks may be read wrong by: the worker knows the database's by a round trip.
const MARGIN: Duration = Duration::from_secs(1);
const SCHEMES: [Scheme; 3] = [Scheme::XWebhook, Scheme::StandardWebhooks, Scheme::StandardWebhooksV1a];

fn now() -> DateTime<Utc> {
    Clock::system().now()
}

/// What a receiver knows between two rotations.
#[derive(Clone)]
struct Known {
    secret: String,
    public_key: String,
}

impl Known {
    fn of(answer: &Value) -> Self {
        let text = |field: &str| answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned();
        Self { secret: text("secret"), public_key: text("public_key") }
    }

    fn verifier(&self) -> Verifier {
        let keys: Vec<ReceiverKey> = [&self.secret, &self.public_key].map(|text| text.parse().unwrap()).into();
        Verifier::knowing(keys).fresh(Freshness::within(PATIENCE))
    }
}

/// Whether a receiver with these keys takes a request by every one of its signatures, or by none.
fn takes(verifier: &Verifier, request: &Received) -> bool {
    let judge = |scheme| {
        verifier.verify(scheme, |name| request.header(name), &request.body, arrived(request).timestamp()).is_ok()
    };
    let verdicts = SCHEMES.map(judge);
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "the schemes disagree: {:?}", request.headers);
    verdicts[0]
}

fn arrived(request: &Received) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(
        request.at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros().try_into().unwrap(),
    )
    .unwrap()
}

/// When a request was signed, to the second; never later than it really was.
fn signed(request: &Received) -> DateTime<Utc> {
    let stamp = request.header(header::TIMESTAMP).unwrap().parse().unwrap();
    DateTime::from_timestamp(stamp, 0).unwrap()
}

/// A receiver with its subscription.
struct Endpoint {
    name: &'static str,
    receiver: Receiver,
    webhook: String,
    known: Known,
    /// Requests that are judged already.
    judged: usize,
}

impl Endpoint {
    async fn new(name: &'static str, partner: &Partner, delay: Duration) -> Self {
        let receiver = Receiver::start().await;
        receiver.otherwise(Reply::status(200).delay(delay));
        let body = json!({ "url": receiver.url("/hook"), "events": ["*"], "signature_schemes": SCHEMES });
        let made = partner.api.post("/v1/external/webhooks", &body).await.expect(201);
        Self { name, receiver, webhook: made["id"].as_str().unwrap().to_owned(), known: Known::of(&made), judged: 0 }
    }

    async fn rotate(&self, api: &Api, overlap: Duration) -> Rotated {
        let path = format!("/v1/external/webhooks/{}/rotate-secret", self.webhook);
        let answer = api.post(&path, &json!({ "overlap_seconds": overlap.as_secs() })).await.expect(200);
        let ends = answer["previous_secret_expires_at"].as_str().unwrap().parse().unwrap();
        Rotated { known: Known::of(&answer), answered: now(), ends }
    }

    /// Waits for so many requests signed after this moment.
    async fn wait_for_signed_after(&self, moment: DateTime<Utc>, count: usize) {
        let later = || self.receiver.requests().iter().filter(|request| signed(request) > moment).count();
        eventually(PATIENCE, "requests signed later", async || {
            let found = later();
            if found >= count { Ok(()) } else { Err(format!("{found} of {count} at {}", self.name)) }
        })
        .await;
    }
}

/// A rotation that was answered.
struct Rotated {
    known: Known,
    answered: DateTime<Utc>,
    ends: DateTime<Utc>,
}

/// What must be true of everything that arrived since the last time, when workers know of the rotation this long after its answer.
fn judge(endpoint: &mut Endpoint, rotated: &Rotated, known_after: Duration) {
    let (old, new) = (endpoint.known.verifier(), rotated.known.verifier());
    let (mut both, mut old_alone, mut new_alone, mut late) = (0, 0, 0, 0);
    let requests = endpoint.receiver.requests().split_off(endpoint.judged);
    endpoint.judged += requests.len();
    for request in &requests {
        let (by_old, by_new) = (takes(&old, request), takes(&new, request));
        let (arrived, signed) = (arrived(request), signed(request));
        let what = format!(
            "signed at {signed}, arrived at {arrived}; rotated at {}, overlap until {}: {:?}",
            rotated.answered, rotated.ends, request.headers
        );
        assert!(by_old || by_new, "by neither secret: {what}");
        assert!(by_old || arrived + MARGIN > rotated.ends, "not by the old secret: {what}");
        assert!(!by_old || signed < rotated.ends + MARGIN, "by the old secret still: {what}");
        assert!(by_new || signed < rotated.answered + known_after, "not by the new secret: {what}");
        match (by_old, by_new) {
            (true, true) => both += 1,
            (true, false) => old_alone += 1,
            _ => new_alone += 1,
        }
        late += usize::from(!by_new && signed >= rotated.answered);
    }
    println!(
        "{}: {old_alone} by the old secret ({late} of them signed after the answer), {both} by both, {new_alone} by the new",
        endpoint.name
    );
    assert!(old_alone > 0 && both > 0 && new_alone > 0, "the flow did not cover the rotation");
}

/// Publishes until told to stop; answers how many events were accepted.
async fn flow(api: Api, stop: Arc<Mutex<bool>>) -> usize {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut accepted = 0;
    while !*stop.lock().unwrap() {
        pace.tick().await;
        let event = json!({ "event_type": "ring.forged", "data": { "number": accepted } });
        match api.try_call(Method::POST, "/v1/external/events", &[], Some(&event)).await {
            Some(answer) if answer.status == 202 => accepted += 1,
            // As when Redis dies in the middle of it: whether the event was taken is another test's matter.
            Some(answer) if answer.status >= 500 => {}
            None => {}
            Some(answer) => panic!("answered {} {}", answer.status, answer.body),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_arrives_during_a_rotation_verifies() {
    let options = StackOptions {
        more_gateways: 1,
        more_workers: 1,
        environment: vec![("ONERING_WEBHOOKS_LEASE_SECONDS", "2".to_owned())],
        ..StackOptions::default()
    };
    let mut stack = Stack::start(options).await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let mut endpoints = [
        Endpoint::new("quick", &partner, Duration::ZERO).await,
        Endpoint::new("slow", &partner, Duration::from_millis(150)).await,
    ];
    let stop = Arc::new(Mutex::new(false));
    // Through the one gateway while the other rotates.
    let flowing = tokio::spawn(flow(stack.gateway(1).with_token(&partner.token), Arc::clone(&stop)));

    for redis_dies in [false, true] {
        println!("{}", if redis_dies { "the announcement is lost:" } else { "the announcement is heard:" });
        let start = now();
        for endpoint in &endpoints {
            endpoint.wait_for_signed_after(start, 20).await;
        }
        if redis_dies {
            stack.redis.kill9();
            // Workers that lose their connection forget what they remember. They shall remember again.
            for endpoint in &endpoints {
                endpoint.wait_for_signed_after(now() + MARGIN, 5).await;
            }
        }
        let overlap = MEMORY + if redis_dies { Duration::from_secs(6) } else { Duration::from_secs(2) };
        let mut rotations = Vec::new();
        for endpoint in &endpoints {
            rotations.push(endpoint.rotate(&partner.api, overlap).await);
        }
        if redis_dies {
            // Workers that connect again forget everything they remember; it must not be that which saves us.
            for (endpoint, rotated) in endpoints.iter().zip(&rotations) {
                endpoint.wait_for_signed_after(rotated.answered + MEMORY, 1).await;
            }
            stack.redis.restart().await.unwrap();
        }
        for (endpoint, rotated) in endpoints.iter_mut().zip(rotations) {
            endpoint.wait_for_signed_after(rotated.ends + MARGIN, 20).await;
            judge(endpoint, &rotated, if redis_dies { MEMORY } else { HEARSAY });
            endpoint.known = rotated.known;
        }
    }

    *stop.lock().unwrap() = true;
    let accepted = flowing.await.unwrap();
    stack.wait_until_settled(PATIENCE).await;
    let workers = "SELECT count(DISTINCT worker) FROM external_delivery_logs WHERE outcome = 'DELIVERED'";
    assert_eq!(stack.number(workers).await, 2, "both workers sent");
    println!("{accepted} events");
    stack.assert_ledger_balances().await;
}

/// A receiver that knows one secret, and says which of the sender's it is.
fn answer_with(receiver: &Receiver, secret: &str) {
    let verifier = Verifier::new(secret.parse().unwrap());
    receiver.otherwise_by(move |request| {
        let find = |name: &'static str| request.header(name);
        match verifier.verify(Scheme::XWebhook, find, &request.body, arrived(request).timestamp()) {
            Ok(verified) => Reply::status(200).header(header::VERIFIED_WITH, verified.with.as_str()),
            Err(_) => Reply::status(401),
        }
    });
}

/// What the partner sees of its subscription's rotation, once it is as expected.
async fn rotation_becomes(partner: &Partner, webhook: &str, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/external/webhooks/{webhook}");
    eventually(PATIENCE, what, async || {
        let rotation = partner.api.get(&path).await.expect(200)["rotation"].clone();
        if expected(&rotation) { Ok(rotation) } else { Err(rotation.to_string()) }
    })
    .await
}

async fn answers_counted(stack: &Stack, age: KeyAge) -> f64 {
    stack.workers[0].metric("onering_rotation_answers_total", &[("secret", &age.to_string())]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_meter_shows_which_secret_the_receiver_uses() {
    let stack = Stack::start(StackOptions::default()).await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let webhook = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    answer_with(&receiver, &webhook.secret);
    let shown = |rotation: &Value| rotation["still_on_previous"].clone();

    // Nothing is counted while there is nothing to tell apart.
    partner.publish("ring.forged", json!({})).await;
    receiver.wait_for(1).await;
    rotation_becomes(&partner, &webhook.id, "no overlap is on", Value::is_null).await;

    let path = format!("/v1/external/webhooks/{}", webhook.id);
    let rotated = partner.api.post(&format!("{path}/rotate-secret"), &json!({})).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap();
    let silent = rotation_becomes(&partner, &webhook.id, "an overlap is on", Value::is_object).await;
    assert_eq!(
        (&silent["sent_with_both"], &silent["confirmed_at"], shown(&silent)),
        (&json!(0), &Value::Null, Value::Null)
    );

    for _ in 0..3 {
        partner.publish("ring.forged", json!({})).await;
    }
    let before = rotation_becomes(&partner, &webhook.id, "three answers are counted", |rotation| {
        rotation["verified_with_previous"] == 3
    })
    .await;
    assert_eq!((&before["sent_with_both"], &before["verified_with_current"]), (&json!(3), &json!(0)));
    assert_eq!((&before["confirmed_at"], shown(&before)), (&Value::Null, json!(true)));

    // A test by the new secret alone fails while the receiver does not know it, and confirms it afterwards.
    let test = async || {
        let tested = partner.api.post(&format!("{path}/test"), &json!({ "sign_with": "current" })).await.expect(200);
        tested["delivered"].clone()
    };
    assert_eq!(test().await, false);
    let refused = receiver.requests().pop().unwrap();
    assert_eq!(refused.json()["data"]["sign_with"], "current");
    assert!(!refused.header(header::SIGNATURE).unwrap().contains("v1p="), "{:?}", refused.headers);
    answer_with(&receiver, fresh);
    assert_eq!(test().await, true);
    let confirmed =
        rotation_becomes(&partner, &webhook.id, "the new secret is confirmed", |now| now["confirmed_at"].is_string())
            .await;
    assert_eq!((&confirmed["sent_with_both"], &confirmed["verified_with_current"]), (&json!(3), &json!(0)));

    partner.publish("ring.forged", json!({})).await;
    let after = rotation_becomes(&partner, &webhook.id, "the new secret is named", |rotation| {
        rotation["verified_with_current"] == 1
    })
    .await;
    assert_eq!((&after["sent_with_both"], &after["confirmed_at"]), (&json!(4), &confirmed["confirmed_at"]));
    assert_eq!(shown(&after), json!(false));

    let health = stack.monitoring().get(&format!("/v1/monitoring/webhooks/{}/health", webhook.id)).await.expect(200);
    assert_eq!(health["rotation"]["verified_with_previous"], 3);
    let operators = stack.operator().get(&format!("/v1/admin/external/webhooks/{}", webhook.id)).await.expect(200);
    assert_eq!(operators["rotation"], after);
    assert_eq!(answers_counted(&stack, KeyAge::Previous).await, 3.0);
    assert_eq!(answers_counted(&stack, KeyAge::Current).await, 1.0);
}
