//! `onering bench`: the measurements that need no repetition, made short.

use onering_testkit::scratch_dir;
use serde_json::Value;

use crate::running::run;

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
