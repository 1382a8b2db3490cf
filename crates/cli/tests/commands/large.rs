//! `onering bench backlog` and `onering bench growth`, made short: that everything is measured, not how fast it is.

use onering_testkit::scratch_dir;
use serde_json::Value;

use crate::running::run;

/// Runs one and answers its rows: name and median.
fn rows(arguments: &[&str]) -> Vec<(String, f64)> {
    let folder = scratch_dir("bench");
    let arguments = [&["bench"], arguments, &["--seconds", "1", "--repeat", "1", "--json", "figures.json"]].concat();
    run(folder.path(), &[], &arguments).success();
    let text = std::fs::read_to_string(folder.path().join("figures.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let row = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row["median"].as_f64().unwrap());
    document["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_backlog_goes_out_beside_live_events() {
    let rows = rows(&["backlog", "--backlog", "10500"]);
    let expected = [
        "live: accepted and delivered, end to end",
        "live events at 100/s alone: accept → arrive, p50",
        "live events at 100/s alone: accept → arrive, p99",
        "backlog: events that waited",
        "backlog: accepted in batches of 1,000",
        "backlog: drained",
        "backlog: drained, of the live rate",
        "live events at 100/s beside it: accept → arrive, p50",
        "live events at 100/s beside it: accept → arrive, p99",
    ];
    assert_eq!(rows.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    assert!(rows.iter().all(|(_, figure)| *figure > 0.0), "{rows:#?}");
    assert!(rows.contains(&("backlog: events that waited".to_owned(), 10_500.0)));
}

#[test]
fn large_tables_are_held_against_empty_ones() {
    let rows = rows(&["growth", "--deliveries", "30000", "--subscriptions", "100"]);
    for expected in [
        "accepted and delivered, end to end",
        "/v1/monitoring/webhooks/metrics, p99",
        "/v1/monitoring/webhooks/{id}/health, p99",
        "worst p99 of monitoring's answers",
        "sweep that finds nothing",
    ] {
        for phase in ["empty", "full"] {
            let name = format!("{phase}: {expected}");
            assert!(rows.iter().any(|(row, figure)| *row == name && *figure > 0.0), "{name}: {rows:#?}");
        }
    }
    for expected in ["end to end: full, of empty", "full: sweep that takes 500 of 20,000"] {
        assert!(rows.iter().any(|(row, figure)| row == expected && *figure > 0.0), "{expected}: {rows:#?}");
    }
    assert!(rows.contains(&("full: deliveries seeded".to_owned(), 30_000.0)));
}
