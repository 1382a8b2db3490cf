//! `onering drill` against a stack of its own: every fault, and what it says when something is lost.

use onering_testkit::scratch_dir;
use serde_json::Value;

use crate::running::{Ran, run};
use crate::stack::Stack;

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
    for list in [&["webhooks", "list", "--json"], &["keys", "list", "--json"]] {
        let left: Value = serde_json::from_str(&stack.run(list).success()).unwrap();
        assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "a drill cleans up after itself: {left:#}");
    }
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
