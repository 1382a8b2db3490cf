//! `/metrics` is what Prometheus takes, and the shipped rules name metrics that exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's helpers fail it by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use onering_testkit::{eventually, free_port, http_client, scratch_dir};
use serde_json::Value;
use support::{SOON, Stack};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

fn deployed(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus")).join(file)
}

/// Runs a program of Prometheus; `None` where it is not installed.
async fn run(program: &str, arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("{program} is not installed: `{program} {}` was not run", arguments.join(" "));
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    Some((ended.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Waits until everything has been read once: no gauge is unknown but those of what was not measured.
async fn settled(stack: &Stack) -> String {
    eventually(SOON, "a first reading", async || {
        let text = stack.metrics().await;
        let known = |name: &str| text.lines().any(|line| line.starts_with(name) && line.ends_with(" 1"));
        (known("onering_monitoring_readable{") && known("onering_ledger_balanced{")).then_some(text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_well_formed_and_show_the_rows() {
    let stack = Stack::open().await;
    let webhook = stack.one_of_each("acme").await;
    stack.results(stack.now(), webhook, "DEAD", 11, 11).await;
    // What was seeded last, and is shown last: with it everything is there.
    let last = "onering_alert_value{alert=\"dead_letter\",service=\"monitoring\"} 11";
    eventually(SOON, "the seeded rows", async || stack.metrics().await.lines().any(|line| line == last)).await;
    let text = settled(&stack).await;
    check_text(&text);
    for line in [
        "onering_deliveries_pending{service=\"monitoring\"} 2",
        "onering_deliveries_held{reason=\"DELIVERY_OFF\",service=\"monitoring\"} 1",
        "onering_deliveries_held{reason=\"BREAKER_OPEN\",service=\"monitoring\"} 0",
        "onering_alert_firing{alert=\"dead_letter\",service=\"monitoring\"} 1",
        "onering_alert_firing{alert=\"auth_failures\",service=\"monitoring\"} 0",
        "onering_alert_value{alert=\"dead_letter\",service=\"monitoring\"} 11",
        "onering_alert_threshold{alert=\"dead_letter\",service=\"monitoring\"} 10",
        "onering_ledger_missing{service=\"monitoring\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    if let Some((good, said)) = run("promtool", &["check", "metrics"], &text).await {
        assert!(good && said.trim().is_empty(), "{said}");
    }
    stack.stop().await;
}

/// The text format 0.0.4: each sample after its HELP and TYPE, named and valued as the format has it, once.
fn check_text(text: &str) {
    assert!(text.ends_with('\n'));
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help text");
            assert!(!words.is_empty() && helped.insert(name), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert!(["counter", "gauge", "histogram"].contains(&kind) && typed.insert(name), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series), "twice: {series}");
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
            let family = family.filter(|family| typed.contains(family)).unwrap_or(name);
            assert!(helped.contains(family) && typed.contains(family), "{line}");
            assert!(name.starts_with("onering_") || name.starts_with("process_"), "{line}");
        }
    }
    assert!(seen.len() > 30, "only {} series", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_it() {
    let stack = Stack::open().await;
    settled(&stack).await;
    let (home, port) = (scratch_dir("prometheus"), free_port());
    let config = format!(
        "global: {{scrape_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: monitoring\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n",
        deployed("rules/*.yml").display(),
        stack.port()
    );
    let file = home.path().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut prometheus = match prometheus.spawn() {
        Ok(prometheus) => prometheus,
        // Then the format alone has been checked, above.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("prometheus is not installed: none scraped this");
            return stack.stop().await;
        }
        Err(error) => panic!("prometheus: {error}"),
    };
    let client = http_client();
    let ask = async |path: &str| -> Result<Value, reqwest::Error> {
        client.get(format!("http://127.0.0.1:{port}/api/v1/{path}")).send().await?.json().await
    };
    eventually(Duration::from_secs(60), "a good scrape", async || {
        let answer = ask("targets").await.map_err(|error| error.to_string())?;
        let target = &answer["data"]["activeTargets"][0];
        if target["health"] == "up" && target["lastError"] == "" { Ok(()) } else { Err(target.to_string()) }
    })
    .await;
    let value = eventually(SOON, "the ledger's gauge", async || {
        let answer = ask("query?query=onering_ledger_balanced").await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(value, "1");
    let rules = ask("rules").await.unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3, "{rules}");
    prometheus.kill().await.unwrap();
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rules_are_good_and_name_what_there_is() {
    let (config, tests) = (deployed("prometheus.yml"), deployed("rules_test.yml"));
    for arguments in [["check", "config", config.to_str().unwrap()], ["test", "rules", tests.to_str().unwrap()]] {
        if let Some((good, said)) = run("promtool", &arguments, "").await {
            assert!(good, "{said}");
        }
    }
    let stack = Stack::open().await;
    let shown = settled(&stack).await;
    let mut named = BTreeSet::new();
    for file in ["rules/alerts.yml", "rules/platform.yml"] {
        let rules = fs::read_to_string(deployed(file)).unwrap();
        for line in rules.lines().filter_map(|line| line.trim_start().strip_prefix("expr: ")) {
            let words = line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            named.extend(words.filter(|word| word.starts_with("onering_")).map(str::to_owned));
        }
    }
    assert!(named.len() >= 7, "{named:?}");
    let reference = fs::read_to_string(deployed("../../docs/api.md")).unwrap();
    let words = reference.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    named.extend(words.filter(|word| word.starts_with("onering_")).map(str::to_owned));
    for name in named {
        assert!(
            shown.contains(&format!("# TYPE {name} ")) || name == "onering_task_restarts_total",
            "{name} is not shown"
        );
    }
    stack.stop().await;
}
