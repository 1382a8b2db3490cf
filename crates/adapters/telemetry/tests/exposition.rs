//! `/metrics` as a strict reader of text format 0.0.4 sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onering_clock::Clock;
use onering_settings::Service;
use onering_telemetry::Metrics;
use onering_telemetry::metrics::{Label, buckets};
use proptest::prelude::*;

/// Names and values, in the order of the text.
type Labels = Vec<(String, String)>;

/// One family as read.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    /// By name and labels, each once.
    samples: BTreeMap<(String, Labels), f64>,
}

/// Reads the text and refuses whatever the format does not allow.
fn read(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'), "the last line must end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!families.contains_key(name), "{name} stands twice");
            families.insert(name.to_owned(), Family { help: help.to_owned(), ..Family::default() });
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "TYPE must follow its HELP");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            let family = families.get_mut(&current).expect("HELP and TYPE before samples");
            let own_names: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "counter" | "gauge" => &[""],
                kind => panic!("{current} has type {kind}"),
            };
            assert!(own_names.iter().any(|ending| name == format!("{current}{ending}")), "{name} under {current}");
            assert!(family.samples.insert((name, labels), value).is_none(), "stands twice: {line}");
        }
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.kind.is_empty() && !family.samples.is_empty(), "{name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, Labels, f64) {
    let name_end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(name_end);
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").expect("a quoted value");
            let (value, after) = quoted(after);
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    (name.to_owned(), labels, value.replace("+Inf", "inf").parse().expect("a number"))
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[index + 1..]),
            '\\' => match letters.next().expect("an escaped letter").1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                other => panic!("\\{other} is no escape"),
            },
            letter => value.push(letter),
        }
    }
    panic!("no closing quote in {text}");
}

/// Buckets grow, the last is `+Inf` and equals the count.
fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((_, labels), value) in family.samples.iter().filter(|((sample, _), _)| sample.ends_with("_bucket")) {
        let mut labels = labels.clone();
        let position = labels.iter().position(|(label, _)| label == "le").expect("le");
        let bound = labels.remove(position).1.replace("+Inf", "inf").parse().expect("a bound");
        series.entry(labels).or_default().push((bound, *value));
    }
    for (labels, mut points) in series {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(points.is_sorted_by(|a, b| a.1 <= b.1), "{name} is not cumulative");
        let last = points.last().unwrap();
        assert_eq!((last.0, last.1), (f64::INFINITY, family.samples[&(format!("{name}_count"), labels)]), "{name}");
    }
}

fn full() -> Metrics {
    let metrics = Metrics::new(Service::ApiGateway).unwrap();
    metrics.counter("onering_test_events_total", "Events.").unwrap().add(3);
    let refusals =
        metrics.counters("onering_test_refusals_total", "Refusals.", [Label::of("code", ["A", "B"])]).unwrap();
    refusals.with(["A"]).inc();
    refusals.with(["nonsense"]).inc();
    metrics.gauge("onering_test_entries", "Entries.").unwrap().set_count(7);
    metrics.observed_gauge("onering_test_idle", "Idle.", || 1.5).unwrap();
    metrics
        .gauges("onering_test_up", "Up.", [Label::of("to", ["redis"]), Label::first("route", 9)])
        .unwrap()
        .with(["redis", "/a\"b\\c\nd"])
        .set_flag(true);
    let took = metrics.histogram("onering_test_seconds", "Time.", buckets::LATENCY_SECONDS).unwrap();
    took.observe(Duration::from_millis(3));
    took.observe(Duration::from_secs(300));
    metrics
        .histograms("onering_test_batch_size", "Size.", buckets::BATCH_SIZE, [Label::of("kind", ["events", "settle"])])
        .unwrap()
        .with(["events"])
        .observe_value(17.0);
    metrics
}

fn value(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let expected: BTreeSet<(String, String)> = labels
        .iter()
        .chain(&[("service", "api-gateway")])
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
        .collect();
    let matching: Vec<f64> = families[name]
        .samples
        .iter()
        .filter(|((_, labels), _)| labels.iter().cloned().collect::<BTreeSet<_>>() == expected)
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(matching.len(), 1, "{name} {expected:?}");
    matching[0]
}

#[test]
fn the_text_reads_strictly_and_says_what_was_counted() {
    let families = read(&full().render().unwrap());
    assert_eq!(value(&families, "onering_test_events_total", &[]), 3.0);
    assert_eq!(value(&families, "onering_test_refusals_total", &[("code", "A")]), 1.0);
    assert_eq!(value(&families, "onering_test_refusals_total", &[("code", "other")]), 1.0);
    assert_eq!(value(&families, "onering_test_entries", &[]), 7.0);
    assert_eq!(value(&families, "onering_test_idle", &[]), 1.5);
    assert_eq!(value(&families, "onering_test_up", &[("to", "redis"), ("route", "/a\"b\\c\nd")]), 1.0);
    assert_eq!(value(&families, "onering_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

#[test]
fn known_label_values_are_shown_before_they_are_met() {
    let families = read(&full().render().unwrap());
    assert_eq!(value(&families, "onering_test_refusals_total", &[("code", "B")]), 0.0);
}

#[test]
fn the_process_is_measured() {
    let before = Clock::system().now().timestamp();
    let families = read(&Metrics::new(Service::ApiGateway).unwrap().render().unwrap());
    let figure = |name: &str| value(&families, name, &[]);
    assert!(figure("process_resident_memory_bytes") > 1_000_000.0);
    assert!(figure("process_virtual_memory_bytes") >= figure("process_resident_memory_bytes"));
    assert!(figure("process_open_fds") >= 3.0);
    assert!(figure("process_threads") >= 1.0);
    assert!(figure("process_cpu_seconds_total") >= 0.0);
    let started_ago = before as f64 - figure("process_start_time_seconds");
    assert!((-5.0..600.0).contains(&started_ago), "{started_ago}");
}

#[test]
fn a_second_metric_of_the_same_name_is_refused() {
    let metrics = full();
    let error = metrics.counter("onering_test_events_total", "Again.").unwrap_err();
    assert!(error.to_string().contains("onering_test_events_total"), "{error}");
}

#[test]
fn bad_declarations_are_refused() {
    let metrics = Metrics::new(Service::Admin).unwrap();
    assert!(metrics.counter("events_total", "Events.").is_err());
    assert!(metrics.gauge("onering_entries", "").is_err());
    assert!(metrics.histogram("onering_time_ms", "Time.", buckets::LATENCY_SECONDS).is_err());
    assert!(metrics.histogram("onering_time_seconds", "Time.", &[2.0, 1.0]).is_err());
    assert!(metrics.counters("onering_a_total", "A.", [Label::first("service", 1)]).is_err());
    assert!(metrics.gauges("onering_b", "B.", [Label::of("x", ["1"]), Label::of("x", ["1"])]).is_err());
}

#[test]
fn handles_taken_twice_count_together() {
    let metrics = Metrics::new(Service::Admin).unwrap();
    let family = metrics.counters("onering_a_total", "A.", [Label::first("x", 3)]).unwrap();
    family.with(["1"]).inc();
    family.clone().with(["1"]).add(4);
    assert_eq!(family.with(["1"]).get(), 5);
}

proptest! {
    /// No label value, whatever is in it, breaks the text, and none makes a series beyond the bound.
    #[test]
    fn any_label_value_is_quoted_and_bounded(values in prop::collection::vec(any::<String>(), 0..40)) {
        let metrics = Metrics::new(Service::Admin).unwrap();
        let family = metrics.counters("onering_a_total", "A.", [Label::first("x", 5)]).unwrap();
        for value in &values {
            family.with([value]).inc();
        }
        let families = read(&metrics.render().unwrap());
        if !values.is_empty() {
            let family = &families["onering_a_total"];
            prop_assert!(family.samples.len() <= 6);
            prop_assert_eq!(family.samples.values().sum::<f64>(), values.len() as f64);
        }
    }
}
