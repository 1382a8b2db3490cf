//! Replays across the real processes: started over HTTP or by the command, worked off by workers that are killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use onering_testkit::{Receiver, Reply, eventually};
use onering_tests::outside::{self, Ran};
use onering_tests::{Partner, Stack, StackOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const REPLAYS: &str = "/v1/admin/external/replays";
const ORIGINALS: i64 = 3_000;
const PATIENCE: Duration = Duration::from_secs(90);

/// A platform with a partner whose deliveries were all brought home long ago.
async fn stack(workers: usize, receiver: &Receiver) -> Stack {
    receiver.otherwise(Reply::status(200));
    let options = StackOptions { more_workers: workers - 1, ..StackOptions::default() };
    let stack = Stack::start(options).await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 2 })).await;
    let originals = format!(
        "WITH made AS MATERIALIZED (SELECT onering.uuid_v7() AS event_id FROM generate_series(1, {ORIGINALS})), \
         events AS (INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
             SELECT event_id, 'acme', 'ring.forged', '{{\"data\":1}}', 1, now(), now() FROM made) \
         INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
             delivered_at, settled_at, created_at) \
         SELECT onering.sibling_id(m.event_id), m.event_id, w.webhook_id, w.owner_id, 'ring.forged', 'DELIVERED', 1, \
             now(), now(), now() FROM made AS m, external_webhooks AS w"
    );
    stack.database.connect().await.batch_execute(&originals).await.unwrap();
    stack
}

async fn until(stack: &Stack, id: &str, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    let operator = stack.operator();
    eventually(PATIENCE, what, async || {
        let replay = operator.get(&format!("{REPLAYS}/{id}")).await.expect(200);
        if enough(&replay) { Ok(replay) } else { Err(replay.to_string()) }
    })
    .await
}

fn replayed(replay: &Value) -> i64 {
    replay["replayed"].as_i64().unwrap()
}

/// Which worker has the job, once it has made so many.
async fn holder(stack: &Stack, id: &str, made: i64) -> usize {
    let has_it = |replay: &Value| replayed(replay) >= made && replay["worker"].is_string();
    let replay = until(stack, id, "a worker is at it", has_it).await;
    assert_eq!(replay["state"], "RUNNING", "it was over before a worker could be killed: {replay}");
    replay["worker"].as_str().unwrap().trim_start_matches("worker-").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_original_is_replayed_once_whatever_is_killed() {
    let receiver = Receiver::start().await;
    let mut stack = stack(2, &receiver).await;
    let all = json!({ "from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "status": "DELIVERED",
                      "rate_per_second": 300 });
    let started = stack.operator().post(REPLAYS, &all).await.expect(201);
    assert_eq!(started["matched"], ORIGINALS);
    let id = started["id"].as_str().unwrap();
    for made in [500, 1_200] {
        let victim = holder(&stack, id, made).await;
        stack.workers[victim].restart().await;
    }
    let done = until(&stack, id, "the replay is done", |replay| replay["state"] != "RUNNING").await;
    assert_eq!((&done["state"], replayed(&done), &done["left"]), (&json!("DONE"), ORIGINALS, &json!(0)), "{done}");

    let once = "SELECT count(*) FROM (SELECT r.original_delivery_id FROM webhook_deliveries AS r \
         JOIN webhook_deliveries AS o ON o.delivery_id = r.original_delivery_id AND o.event_id = r.event_id \
         WHERE o.original_delivery_id IS NULL GROUP BY r.original_delivery_id HAVING count(*) = 1) AS once";
    assert_eq!(stack.number(once).await, ORIGINALS);
    let made = "SELECT count(*) FROM webhook_deliveries WHERE original_delivery_id IS NOT NULL";
    assert_eq!(stack.number(made).await, ORIGINALS);
    stack.wait_until_settled(PATIENCE).await;
    stack.assert_ledger_balances().await;
    let arrived: BTreeSet<String> =
        receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(arrived.len(), usize::try_from(ORIGINALS).unwrap(), "every event arrived again");
}

/// The command as an operator types it; answers its exit code and what it printed.
async fn command(stack: &Stack, key: &str, arguments: &[&str]) -> (i32, String) {
    let admin = stack.admin.url("");
    let access = ["--backend-url", &admin, "--admin-key", key];
    let all = ["replay"].iter().chain(&access).chain(arguments).copied();
    let Ran { code, text } = outside::run(outside::onering_binary(), all, outside::tests_folder(), b"").await;
    (code, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_counts_starts_watches_and_cancels() {
    let receiver = Receiver::start().await;
    let stack = stack(1, &receiver).await;
    let operator = json!({ "name": "Ada", "role": "operator" });
    let key = stack.operator().post("/v1/admin/admin-keys", &operator).await.expect(201);
    let key = key["admin_key"].as_str().unwrap();
    let range = ["start", "--from", "2020-01-01T00:00:00Z", "--status", "DELIVERED"];
    let run = async |arguments: &[&str]| command(&stack, key, arguments).await;

    let (code, text) = run(&[&range[..], &["--dry-run", "--json"]].concat()).await;
    let counted: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(
        (code, &counted["matched"], &counted["by_status"]["DELIVERED"]),
        (0, &json!(ORIGINALS), &json!(ORIGINALS))
    );
    assert_eq!(stack.number("SELECT count(*) FROM replay_jobs").await, 0);
    assert_eq!(stack.number("SELECT count(*) FROM webhook_deliveries").await, ORIGINALS, "nothing was written");

    let (code, text) = run(&[&range[..], &["--rate", "50", "--owner", "acme", "--json"]].concat()).await;
    let started: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!((code, &started["rate_per_second"], &started["owner_id"]), (0, &json!(50), &json!("acme")), "{text}");
    let id = started["id"].as_str().unwrap();
    until(&stack, id, "the replay has begun", |replay| replayed(replay) > 0).await;
    let (code, text) = run(&["cancel", id]).await;
    assert!(code == 0 && text.contains("CANCELLED"), "{text}");
    let cancelled = until(&stack, id, "the replay is cancelled", |replay| replay["state"] == "CANCELLED").await;
    let made = "SELECT count(*) FROM webhook_deliveries WHERE original_delivery_id IS NOT NULL";
    assert_eq!(stack.number(made).await, replayed(&cancelled));
    assert!(replayed(&cancelled) < ORIGINALS);
    let (code, text) = run(&["status", id, "--watch"]).await;
    assert!(code == 1 && text.contains(" replayed"), "a cancelled replay is not done: {text}");

    stack.wait_until_settled(PATIENCE).await;
    let (code, text) = run(&[&range[..], &["--rate", "5000", "--watch"]].concat()).await;
    let last = format!("DONE  {ORIGINALS} of {ORIGINALS} replayed");
    assert!(code == 0 && text.contains(&last), "{text}");
    assert_eq!(stack.number(made).await, replayed(&cancelled) + ORIGINALS, "nothing was added to the cancelled one");
    let (code, text) = run(&["list", "--state", "CANCELLED"]).await;
    assert!(code == 0 && text.contains(id) && text.lines().count() == 2, "{text}");
    stack.assert_ledger_balances().await;
}

/// Watches a replay from outside; answers when its first line is printed, which is after signals are heard.
async fn watching(stack: &Stack, key: &str, id: &str) -> Child {
    let admin = stack.admin.url("");
    let mut child = Command::new(outside::onering_binary())
        .args(["replay", "--backend-url", &admin, "--admin-key", key, "status", id, "--watch"])
        .current_dir(outside::tests_folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    assert!(line.contains("RUNNING"), "{line}");
    child
}

/// Its exit code and what it said on standard error.
async fn end(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_does_not_see_the_end_is_no_success() {
    let receiver = Receiver::start().await;
    let stack = stack(1, &receiver).await;
    let operator = json!({ "name": "Ada", "role": "operator" });
    let made = stack.operator().post("/v1/admin/admin-keys", &operator).await.expect(201);
    let key = made["admin_key"].as_str().unwrap();
    let all = json!({ "from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "status": "DELIVERED",
                      "rate_per_second": 1 });
    let started = stack.operator().post(REPLAYS, &all).await.expect(201);
    let id = started["id"].as_str().unwrap();

    for signal in ["-INT", "-TERM"] {
        let child = watching(&stack, key, id).await;
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        let (code, said) = end(child).await;
        assert!(code == Some(1) && said.contains("goes on without being watched"), "{signal}: {code:?} {said}");
    }
    let child = watching(&stack, key, id).await;
    let path = format!("/v1/admin/admin-keys/{}", made["admin_key_id"].as_str().unwrap());
    assert_eq!(stack.operator().delete(&path).await.status, 204);
    let (code, said) = end(child).await;
    assert!(code == Some(1) && said.contains("401"), "{code:?} {said}");
    let still = until(&stack, id, "it runs", |replay| replayed(replay) > 0).await;
    assert_eq!(still["state"], "RUNNING", "nobody has stopped it");
}
