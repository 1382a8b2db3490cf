//! `onering drill` against a stack of its own: every fault, and what it says when something is lost.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use onering_testkit::{eventually, scratch_dir};
use serde_json::Value;

use crate::running::{Ran, run};
use crate::stack::Stack;

const PATIENCE: Duration = Duration::from_secs(60);

/// As quick as a drill can be: few events, and a platform that does not wait a minute before it tries again.
fn stack() -> Stack {
    let stack = Stack::new().with("ONERING_WEBHOOKS_LEASE_SECONDS", "2");
    let stack = stack.with("ONERING_BREAKER_OPEN_SECONDS", "1").with("ONERING_BREAKER_OPEN_MAX_SECONDS", "2");
    stack.with("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1").with("ONERING_WEBHOOKS_MAX_ATTEMPTS", "20")
}

fn drill(stack: &Stack, fault: &str, further: &[&str]) -> (Ran, Value) {
    let mut arguments = vec!["drill", fault, "--events", "90", "--rate", "60", "--json"];
    arguments.extend(further);
    let ran = stack.run(&arguments);
    let document = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
    (ran, document)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_is_drilled() {
    let stack = stack();
    stack.run(&["up", "--no-smoke"]).success();
    for fault in ["clock-skew", "flush-redis", "receiver-5xx", "slow-receiver", "kill-worker"] {
        let (ran, document) = drill(&stack, fault, &[]);
        assert_eq!(ran.code, Some(0), "{fault}: {ran:#?}");
        assert_eq!((&document["drill"], &document["green"]), (&fault.into(), &true.into()), "{document:#}");
        let counts = ["accepted", "arrived", "lost", "refused"].map(|name| document[name].as_u64());
        assert_eq!(counts, [Some(90), Some(90), Some(0), Some(0)], "{document:#}");
        assert_eq!(document["deliveries"]["DELIVERED"], 90, "{document:#}");
    }
    assert!(stack.run(&["audit"]).success().contains("The ledger balances ✅"));
    assert_nothing_is_left(&stack);
}

fn assert_nothing_is_left(stack: &Stack) {
    for list in [&["webhooks", "list", "--json"], &["keys", "list", "--json"]] {
        let left: Value = serde_json::from_str(&stack.run(list).success()).unwrap();
        assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "a drill cleans up after itself: {left:#}");
    }
}

fn send(signal: &str, process: &Child) {
    assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
}

/// Waits until the fault is done; then ends the drill by a signal and answers what it said.
async fn interrupted(mut drill: Child, signal: &str, what: &str, struck: impl Fn() -> bool) -> String {
    eventually(PATIENCE, what, async || {
        assert!(drill.try_wait().unwrap().is_none(), "the drill is over before it could be interrupted");
        struck()
    })
    .await;
    send(signal, &drill);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:#?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The state of a process, as a letter: T is stopped.
fn state(pid: &str) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// Processes that a drill started.
fn spares(stack: &Stack) -> Vec<String> {
    let of_drill = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let variables = String::from_utf8_lossy(&environment).into_owned();
        variables.contains("ONERING_INSTANCE=delivery-worker-drill")
            && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == stack.folder())
    };
    let names = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(of_drill).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_drill_leaves_nothing_behind() {
    let stack = stack();
    stack.run(&["up", "--no-smoke"]).success();
    // Slow enough that the workers stand still for as long as they may.
    let drill = |fault: &str| stack.spawn(&["drill", fault, "--events", "30", "--rate", "3"]);
    let worker = stack.pid("delivery-worker-1");
    let stands = || state(&worker) == 'T';
    let said = interrupted(drill("flush-redis"), "-INT", "the worker stands still", stands).await;
    assert!(said.contains("interrupted"), "{said}");
    eventually(PATIENCE, "the worker goes on", async || !stands()).await;
    assert_nothing_is_left(&stack);

    let both_run = || spares(&stack).len() == 2;
    let said = interrupted(drill("clock-skew"), "-TERM", "both workers run", both_run).await;
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(spares(&stack), Vec::<String>::new());
    assert_nothing_is_left(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_drill_left_spoils_no_later_one() {
    let stack = stack();
    stack.run(&["up", "--no-smoke"]).success();
    let mut killed = stack.spawn(&["drill", "clock-skew", "--events", "30", "--rate", "3"]);
    let has_subscribed = || stack.run(&["webhooks", "list", "--owner", "drill", "--json"]).out.contains("drill.event");
    eventually(PATIENCE, "the drill is under way", async || has_subscribed() && spares(&stack).len() == 2).await;
    send("-KILL", &killed);
    killed.wait().unwrap();
    assert!(has_subscribed(), "nobody was left to remove it");
    eventually(PATIENCE, "its workers end with it", async || spares(&stack).is_empty()).await;
    let keys: Value = serde_json::from_str(&stack.run(&["keys", "list", "--json"]).success()).unwrap();
    assert!(keys["items"][0]["expires_at"].is_string(), "its key ends by itself: {keys:#}");

    let (ran, document) = drill(&stack, "receiver-5xx", &["--patience", "60"]);
    assert_eq!((ran.code, &document["green"]), (Some(0), &true.into()), "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_said() {
    let stack = stack().with("ONERING_PLANT_BUG", "sweep-off");
    stack.run(&["up", "--no-smoke"]).success();
    let (ran, document) = drill(&stack, "flush-redis", &["--patience", "5"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let reds = document["reds"].to_string();
    assert!(
        document["green"] == false && reds.contains("still wait") && reds.contains("did not arrive"),
        "{document:#}"
    );
}

#[test]
fn what_cannot_be_done_there_is_refused_before_anything_is_made() {
    let folder = scratch_dir("drill");
    let environment = [("ONERING_BASE_URL", "http://127.0.0.1:9"), ("ONERING_ADMIN_KEY", "oak_x")];
    for (fault, word) in [("kill-worker", "dev stack"), ("clock-skew", "dev stack"), ("flush-redis", "REDIS_URL")] {
        let ran = run(folder.path(), &environment, &["drill", fault]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.err.contains(word) && ran.err.contains("127.0.0.1:9"), "{ran:#?}");
    }
}
