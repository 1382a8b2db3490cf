//! `onering bench`, made short: that everything is measured, not how fast it is.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use onering_testkit::{eventually, scratch_dir};
use serde_json::Value;

use crate::running::{command, run};

/// Runs these scenarios once and checks that every row has figures, and that exactly these have a goal that is judged.
fn every_goal_is_judged(scenarios: &str, goals: &[&str]) {
    let folder = scratch_dir("bench");
    let arguments = ["bench", "--seconds", "1", "--repeat", "1", "--only", scenarios];
    let outputs = ["--json", "figures.json", "--markdown", "figures.md"];
    let printed = run(folder.path(), &[], &[&arguments[..], &outputs].concat()).success();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(printed, read("figures.md"));

    let document: Value = serde_json::from_str(&read("figures.json")).unwrap();
    let rows = document["rows"].as_array().unwrap();
    for row in rows {
        let name = row["name"].as_str().unwrap();
        assert_eq!(row["figures"].as_array().unwrap().len(), 1, "{row:#}");
        // What a decision adds is a difference, and may be anything.
        assert!(name.starts_with("added") || row["median"].as_f64().unwrap() > 0.0, "{row:#}");
        if !row["reference"].is_null() {
            assert!(row["ratio"]["median"].as_f64().unwrap() > 0.0, "{row:#}");
            assert!(rows.iter().any(|other| other["name"] == row["reference"]), "{row:#}");
        }
        assert_eq!(row["goal"].is_null(), row["reached"].is_null(), "{row:#}");
    }
    let judged = rows.iter().filter(|row| !row["goal"].is_null()).map(|row| row["name"].as_str().unwrap());
    assert_eq!(judged.collect::<Vec<_>>(), goals, "{document:#}");
}

#[test]
fn full_load_is_measured_beside_its_references() {
    every_goal_is_judged(
        "fan-out,ingest,references,e2e",
        &[
            "accepted and delivered, into nginx",
            "CPU an event: platform, Postgres and Redis",
            "WAL an event",
            "Redis commands an event",
            "transactions an event",
            "resident memory at full load: gateway",
            "resident memory at full load: worker",
            "fan-out 1 → 10, deliveries",
            "ingest alone, delivery off",
            "drain alone",
        ],
    );
}

#[test]
fn latencies_decisions_forwarding_and_starts_are_measured() {
    every_goal_is_judged(
        "latency,decisions,forwarding,start",
        &[
            "accept → arrive at 100/s, p50",
            "accept → arrive at 100/s, p99",
            "acknowledged at 100/s, p50",
            "accept → arrive at 300/s, p50",
            "accept → arrive at 300/s, p99",
            "accept → arrive at 3000/s, p50",
            "accept → arrive at 3000/s, p99",
            "decisions on /me, many keys",
            "decisions on /me, one key",
            "added by a decision at 1000/s, p50",
            "added by a decision at 1000/s, p99",
            "forwarding a product route",
            "start to ready: api-gateway",
            "resident memory idle: api-gateway",
            "start to ready: delivery-worker",
            "resident memory idle: delivery-worker",
            "start to ready: admin",
            "resident memory idle: admin",
            "start to ready: monitoring",
            "resident memory idle: monitoring",
        ],
    );
}

/// Command lines of all processes that were told of this folder.
fn running_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*folder.to_string_lossy())).collect()
}

#[tokio::test]
async fn an_interrupted_run_leaves_nothing_behind() {
    let folder = scratch_dir("bench");
    let temporary = [("TMPDIR", folder.path().to_str().unwrap())];
    let mut child = command(folder.path(), &temporary, &["bench", "--seconds", "120", "--only", "references"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = said.skip_while(|line| line.trim() != "references");
    assert!(said.next().is_some(), "it has begun to measure");
    assert!(running_in(folder.path()).len() > 2, "a supervisor, Postgres, nginx");

    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    assert_eq!(said.last().as_deref(), Some("onering: interrupted"));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    eventually(Duration::from_secs(10), "nothing runs any more", async || {
        let left = running_in(folder.path());
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    })
    .await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Runs one and answers its rows.
fn figures(arguments: &[&str], environment: &[(&str, &str)]) -> impl Fn(&str) -> f64 {
    let folder = scratch_dir("bench");
    let arguments = [&["bench"], arguments, &["--json", "figures.json"]].concat();
    run(folder.path(), environment, &arguments).success();
    let text = std::fs::read_to_string(folder.path().join("figures.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    move |name| {
        let row = document["rows"].as_array().unwrap().iter().find(|row| row["name"] == name);
        row.and_then(|row| row["median"].as_f64()).unwrap_or_else(|| panic!("{name}: {document:#}"))
    }
}

#[test]
fn a_receiver_that_is_down_is_left_alone_and_gets_everything_afterwards() {
    let environment = [
        ("ONERING_BREAKER_OPEN_SECONDS", "1"),
        ("ONERING_BREAKER_OPEN_MAX_SECONDS", "2"),
        ("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1"),
        ("ONERING_WEBHOOKS_MAX_ATTEMPTS", "50"),
    ];
    let figure = figures(&["breaker", "--seconds", "5", "--rate", "20"], &environment);
    let refused = figure("requests while it was down");
    assert_eq!((figure("events"), figure("requests by the schedule alone, at most")), (100.0, 300.0));
    assert!((5.0..300.0).contains(&refused), "{refused}");
    assert!(figure("circuit opened") >= 1.0);
    assert_eq!((figure("delivered"), figure("events that arrived after its return")), (100.0, 100.0));
    assert_eq!(figure("attempts spent in all"), refused + 100.0);
    assert!(figure("until all had arrived") > 0.0);
}

#[test]
fn malice_is_asked_and_memory_is_told() {
    let figure = figures(&["hostile", "--seconds", "10"], &[]);
    assert_eq!(figure("events to the healthy one"), figure("of them arrived"));
    assert!(figure("requests to all of the hostile ones") >= 11.0);
    for tenth in ["worker's memory after 1/10 of the time", "after 10/10", "worker's memory at most"] {
        assert!(figure(tenth) > 1.0, "a worker has more than a megabyte: {tenth}");
    }
}
