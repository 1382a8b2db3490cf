//! `/metrics` of all four processes, as a strict reader of the text format and Prometheus' own checker see it.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onering_testkit::{Receiver, http_client};
use onering_tests::{Partner, Stack, StackOptions, outside};
use serde_json::json;

/// What is read of one family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    series: BTreeSet<String>,
}

/// Reads an exposition; panics at whatever the format, or our own rule of a HELP and a TYPE for each family, forbids.
fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line does not end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            assert!(help.len() > 3, "no help: {line}");
            assert!(families.insert(name.to_owned(), Family::default()).is_none(), "stands twice: {line}");
            current = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            assert_eq!(Some(name), current.as_deref(), "TYPE must follow its HELP");
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            kind.clone_into(&mut families.get_mut(name).unwrap().kind);
        } else {
            let name = current.as_deref().unwrap_or_else(|| panic!("a sample before its HELP: {line}"));
            let family = families.get_mut(name).unwrap();
            let series = check_sample(name, &family.kind, line);
            assert!(family.series.insert(series.to_owned()), "stands twice: {line}");
        }
    }
    families
}

/// Checks one sample of a family; answers its name and labels.
fn check_sample<'l>(family: &str, kind: &str, line: &'l str) -> &'l str {
    assert!(!kind.is_empty(), "{family} has no TYPE");
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.replace("+Inf", "inf").parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(labels.ends_with('}'), "{line}");
    let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} under {family}"));
    match kind {
        "histogram" => assert!(matches!(suffix, "_bucket" | "_sum" | "_count"), "{line} under {family}"),
        "counter" => {
            assert!(suffix.is_empty() && family.ends_with("_total") && value >= 0.0, "{line}");
        }
        _ => assert!(suffix.is_empty(), "{line}"),
    }
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{line}");
    series
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_processes_are_scraped_cleanly() {
    let stack = Stack::start(StackOptions::default()).await;
    // Something to count: an accepted call, a refused one, a delivery.
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;
    partner.publish("ring.forged", json!({})).await;
    assert_eq!(stack.gateway(0).get("/v1/external/me").await.status, 401);
    receiver.wait_for(1).await;
    stack.wait_until_settled(Duration::from_secs(20)).await;
    let _ = stack.monitoring().get("/v1/monitoring/webhooks/metrics").await.expect(200);

    let services = [&stack.gateways[0], &stack.workers[0], &stack.admin, &stack.monitoring];
    for (service, name) in services.into_iter().zip(["api-gateway", "delivery-worker", "admin", "monitoring"]) {
        let answer = http_client().get(service.url("/metrics")).send().await.unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(content_type.starts_with("text/plain; version=0.0.4"), "{name}: {content_type}");
        let text = answer.text().await.unwrap();
        let families = read(&text);
        assert!(families.keys().any(|family| family.starts_with("onering_")), "{name}: {:?}", families.keys());
        for (family, read) in &families {
            assert!(!read.kind.is_empty() && !read.series.is_empty(), "{name}: {family} is empty");
        }
        let series: usize = families.values().map(|family| family.series.len()).sum();
        println!("{name}: {} families, {series} series", families.len());
        for secret in [&partner.token, &partner.owner] {
            assert!(!text.contains(secret.as_str()), "{name} has a partner's data in its metrics");
        }
        if outside::is_installed("promtool") {
            let ran = outside::run("promtool", ["check", "metrics"], outside::tests_folder(), text.as_bytes()).await;
            assert_eq!((ran.code, ran.text.trim()), (0, ""), "promtool on {name}");
        } else {
            eprintln!("promtool is not installed: {name} was read by our own reader only");
        }
    }
}
