//! Switches take effect on every replica within a second of their being thrown, wherever they are thrown, and nothing is
//! lost by it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use onering_testkit::{Receiver, ServiceProcess, eventually};
use onering_tests::{Api, BOUND, Change, ConfigMapVolume, Partner, Stack, StackOptions};
use serde_json::{Value, json};

const API: &str = "ONERING_EXTERNAL_API_ENABLED";
const CANARY_ONLY: &str = "ONERING_EXTERNAL_API_CANARY_ONLY";
const DELIVERY: &str = "ONERING_WEBHOOKS_DELIVERY_ENABLED";
const PATIENCE: Duration = Duration::from_secs(30);
/// What a key's partner may ask while the test polls.
const PLENTY: u64 = 10_000_000;

async fn two_of_each() -> Stack {
    Stack::start(StackOptions { more_gateways: 1, more_workers: 1, ..StackOptions::default() }).await
}

/// A look at each gateway that is true when it answers `code` (`"OK"` for 200) to this key.
fn gateways_answer<'a>(
    stack: &'a Stack,
    token: &'a str,
    code: &'a str,
) -> impl Iterator<Item = (String, impl Fn() -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>>)> {
    (0..stack.gateways.len()).map(move |number| {
        let api = stack.gateway(number).with_token(token);
        let look = move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
            let api = api.clone();
            Box::pin(async move { answers(&api, code).await })
        };
        (format!("gateway-{number}"), look)
    })
}

async fn answers(api: &Api, code: &str) -> bool {
    let answer = api.get("/v1/external/me").await;
    if answer.status == 200 { code == "OK" } else { answer.header("X-Error-Code") == Some(code) }
}

/// How often each worker has seen the switches change.
async fn generations(stack: &Stack) -> Vec<f64> {
    let mut generations = Vec::new();
    for worker in &stack.workers {
        generations.push(generation(worker).await);
    }
    generations
}

async fn generation(worker: &ServiceProcess) -> f64 {
    worker.metric("onering_flags_generation", &[]).await.unwrap()
}

/// A look at each worker that is true when it has taken up a change after `before`.
fn workers_changed<'a>(
    stack: &'a Stack,
    before: Vec<f64>,
) -> impl Iterator<Item = (String, impl Fn() -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>>)> {
    stack.workers.iter().zip(before).enumerate().map(|(number, (worker, before))| {
        let look = move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
            Box::pin(async move { generation(worker).await > before })
        };
        (format!("worker-{number}"), look)
    })
}

async fn override_flag(stack: &Stack, name: &str, value: &str) {
    let body = json!({ "value": value, "reason": "the test says so" });
    let _ = stack.operator().put(&format!("/v1/admin/flags/{name}"), &body).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_overrides_take_effect_on_all_replicas_within_a_second() {
    let stack = two_of_each().await;
    let plenty = json!({ "rate_limit_override": PLENTY });
    let partner = Partner::create(&stack, "acme", plenty).await;

    // A plain file, replaced.
    for (value, code) in [("0", "EXTERNAL_API_DISABLED"), ("1", "OK")] {
        let before = generations(&stack).await;
        let mut change = Change::about_to(&format!("file {API}={value}"));
        stack.switch(API, value);
        change.seen_by(gateways_answer(&stack, &partner.token, code)).await;
        change.seen_by(workers_changed(&stack, before)).await;
        change.assert_within_bound();
    }

    // An override over the admin API, set and removed.
    let before = generations(&stack).await;
    let mut change = Change::about_to(&format!("override {API}=0"));
    override_flag(&stack, API, "0").await;
    change.seen_by(gateways_answer(&stack, &partner.token, "EXTERNAL_API_DISABLED")).await;
    change.seen_by(workers_changed(&stack, before)).await;
    change.assert_within_bound();
    let mut change = Change::about_to(&format!("override of {API} removed"));
    let removed = stack.operator().delete(&format!("/v1/admin/flags/{API}")).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    change.seen_by(gateways_answer(&stack, &partner.token, "OK")).await;
    change.assert_within_bound();

    // The kubelet's way: a new directory, one link swapped. Twice and more, for watches that die with the first swap.
    let mut volume = ConfigMapVolume::over(stack.flags_dir());
    for (value, code) in [("0", "EXTERNAL_API_DISABLED"), ("1", "OK"), ("0", "EXTERNAL_API_DISABLED"), ("1", "OK")] {
        let before = generations(&stack).await;
        let mut change = Change::about_to(&format!("..data swapped to {API}={value}"));
        volume.update(API, value);
        change.seen_by(gateways_answer(&stack, &partner.token, code)).await;
        change.seen_by(workers_changed(&stack, before)).await;
        change.assert_within_bound();
    }

    every_process_has_left_a_receipt(&stack).await;
}

/// `GET /v1/admin/flags` shows who has applied what: every process, in the end with the same switches.
async fn every_process_has_left_a_receipt(stack: &Stack) {
    let expected = ["admin-0", "gateway-0", "gateway-1", "monitoring-0", "worker-0", "worker-1"];
    eventually(PATIENCE, "every process has applied the same switches", async || {
        let flags = stack.operator().get("/v1/admin/flags").await.expect(200);
        let processes = flags["processes"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<&str> = processes.iter().filter_map(|process| process["process"].as_str()).collect();
        names.sort_unstable();
        let fingerprints: BTreeSet<String> =
            processes.iter().map(|process| process["fingerprint"].to_string()).collect();
        if names == expected && fingerprints.len() == 1 { Ok(()) } else { Err(flags.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_only_and_a_disabled_key_take_effect_on_both_gateways_within_a_second() {
    let stack = two_of_each().await;
    let partner = Partner::create(&stack, "acme", json!({ "rate_limit_override": PLENTY })).await;
    let canary = Partner::create(&stack, "canary", json!({ "canary_enabled": true })).await;

    for (value, code) in [("1", "CANARY_ONLY_MODE"), ("0", "OK")] {
        let mut change = Change::about_to(&format!("file {CANARY_ONLY}={value}"));
        stack.switch(CANARY_ONLY, value);
        change.seen_by(gateways_answer(&stack, &partner.token, code)).await;
        change.assert_within_bound();
        assert!(answers(&canary.api, "OK").await, "a canary key is let in either way");
    }
    let mut change = Change::about_to(&format!("override {CANARY_ONLY}=1"));
    override_flag(&stack, CANARY_ONLY, "1").await;
    change.seen_by(gateways_answer(&stack, &partner.token, "CANARY_ONLY_MODE")).await;
    change.assert_within_bound();
    assert!(answers(&canary.api, "OK").await, "a canary key is let in either way");
    let removed = stack.operator().delete(&format!("/v1/admin/flags/{CANARY_ONLY}")).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    Change::about_to("open again").seen_by(gateways_answer(&stack, &partner.token, "OK")).await;

    // Both gateways know the key by now, so this is about what they remember.
    for (action, code) in [("disable", "KEY_DISABLED"), ("enable", "OK")] {
        let mut change = Change::about_to(&format!("{action} the key"));
        let path = format!("/v1/admin/external/keys/{}/{action}", partner.key_id);
        let _ = stack.operator().patch(&path, &json!({})).await.expect(200);
        change.seen_by(gateways_answer(&stack, &partner.token, code)).await;
        change.assert_within_bound();
    }
}

/// Publishes so many events in one call; answers their ids.
async fn publish_many(partner: &Partner, count: usize, batch: &str) -> Vec<String> {
    let events: Vec<Value> = (0..count)
        .map(|number| json!({ "event_type": "ring.forged", "data": { "batch": batch, "number": number } }))
        .collect();
    let answer = partner.api.post("/v1/external/events/batch", &Value::Array(events)).await.expect(202);
    assert_eq!(answer["accepted"], count, "{answer}");
    answer["results"].as_array().unwrap().iter().map(|result| result["event_id"].as_str().unwrap().to_owned()).collect()
}

fn last_arrival(receiver: &Receiver) -> Instant {
    receiver.requests().iter().map(|request| request.instant).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_switched_off_stops_within_a_second_and_loses_nothing() {
    let stack = two_of_each().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    // Slow enough that both workers have plenty in hand when delivery is switched off.
    let webhook = partner.subscribe(&receiver.url("/hook"), json!({ "rate_limit_per_second": 40 })).await;
    let mut accepted = Vec::new();
    for batch in 0..8 {
        // In small portions, so that both workers get some.
        accepted.extend(publish_many(&partner, 20, &format!("before {batch}")).await);
    }
    let backlog = accepted.len();
    receiver.wait_for(10).await;

    let before = generations(&stack).await;
    let mut off = Change::about_to(&format!("file {DELIVERY}=0"));
    stack.switch(DELIVERY, "0");
    off.seen_by(workers_changed(&stack, before)).await;
    eventually(PATIENCE, "nothing arrives for a second", async || last_arrival(&receiver).elapsed() > BOUND).await;
    off.seen_after("last arrival", last_arrival(&receiver).saturating_duration_since(off.made_at()));
    off.assert_within_bound();
    let sent_before = receiver.count();
    println!("{sent_before} of {backlog} had been sent");
    assert!(sent_before < backlog, "the backlog was gone before delivery was switched off: this proves nothing");

    // Events go on arriving, and wait by name.
    accepted.extend(publish_many(&partner, 50, "meanwhile").await);
    let path = format!("/v1/external/deliveries?status=PENDING&webhook_id={}&limit=200", webhook.id);
    let page = partner.api.get(&path).await.expect(200);
    let waiting = page["items"].as_array().unwrap();
    for event in &accepted[backlog..] {
        let item = waiting.iter().find(|item| item["event_id"] == event.as_str());
        let item = item.unwrap_or_else(|| panic!("{event} is not listed as PENDING"));
        assert_eq!(item["held_reason"], "DELIVERY_OFF", "{item}");
    }
    assert_eq!(receiver.count(), sent_before, "something was sent while delivery was off");
    stack.assert_ledger_balances().await;

    let mut on = Change::about_to(&format!("file {DELIVERY}=1"));
    stack.switch(DELIVERY, "1");
    eventually(PATIENCE, "something arrives", async || receiver.count() > sent_before).await;
    on.seen_after("first arrival", receiver.requests()[sent_before].instant.saturating_duration_since(on.made_at()));
    on.assert_within_bound();
    everything_arrived_once(&stack, &receiver, &accepted).await;

    // The same by an override, with nothing under way.
    let mut off = Change::about_to(&format!("override {DELIVERY}=0"));
    let before = generations(&stack).await;
    override_flag(&stack, DELIVERY, "0").await;
    off.seen_by(workers_changed(&stack, before)).await;
    off.assert_within_bound();
    accepted.extend(publish_many(&partner, 20, "override").await);
    assert_eq!(stack.number("SELECT count(*) FROM webhook_deliveries WHERE held_reason = 'DELIVERY_OFF'").await, 20);
    let removed = stack.operator().delete(&format!("/v1/admin/flags/{DELIVERY}")).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    everything_arrived_once(&stack, &receiver, &accepted).await;

    let workers = stack.number("SELECT count(DISTINCT worker) FROM external_delivery_logs").await;
    assert_eq!(workers, 2, "both workers must have sent something");
}

async fn everything_arrived_once(stack: &Stack, receiver: &Receiver, accepted: &[String]) {
    stack.wait_until_settled(PATIENCE).await;
    let requests = receiver.requests();
    let mut arrived: Vec<&str> = requests.iter().filter_map(|request| request.header("webhook-id")).collect();
    arrived.sort_unstable();
    let mut expected: Vec<&str> = accepted.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert!(arrived == expected, "{} accepted, {} arrived", expected.len(), arrived.len());
    stack.assert_ledger_balances().await;
}
