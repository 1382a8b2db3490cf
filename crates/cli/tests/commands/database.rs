//! `onering migrate` and `onering audit`.

use std::process::Stdio;

use onering_testkit::{postgres, scratch_dir};
use serde_json::Value;

use crate::running::{command, run, run_with_input};

const SUBSCRIPTION: &str = "
    INSERT INTO external_webhooks (webhook_id, owner_id, url, events)
    VALUES (onering.uuid_v7(), 'default', 'https://receiver.example/', '{*}')";

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_brought_up_to_date_once() {
    let (database, folder) = (postgres().await, scratch_dir("migrate"));
    let environment = [("DATABASE_URL", database.url())];
    let first = run(folder.path(), &environment, &["migrate"]).success();
    assert!(first.lines().count() > 1 && first.lines().all(|line| line.starts_with("applied ")), "{first}");
    assert_eq!(run(folder.path(), &environment, &["migrate"]).success(), "schema is up to date\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_red_when_a_delivery_is_missing() {
    let (database, folder) = (postgres().await, scratch_dir("audit"));
    let environment = [("DATABASE_URL", database.url())];
    run(folder.path(), &environment, &["migrate"]).success();
    let client = database.connect().await;
    client.batch_execute(SUBSCRIPTION).await.unwrap();
    client.batch_execute("SELECT onering.publish_event('default', 'ring.forged', '{}')").await.unwrap();

    let balanced = run(folder.path(), &environment, &["audit"]).success();
    assert!(balanced.contains("The ledger balances ✅"), "{balanced}");

    client.batch_execute("DELETE FROM webhook_deliveries").await.unwrap();
    let ran = run(folder.path(), &environment, &["audit"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("missing 1") && ran.out.contains("evt_"), "{ran:?}");
    let ran = run(folder.path(), &environment, &["audit", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["balanced"], &document["missing"]), (&Value::from(false), &Value::from(1)), "{document}");
    assert_eq!(document["unbalanced_events"][0]["matched"], 1, "{document}");

    // Of another event one delivery too many: the sums agree, and the ledger does not balance all the same.
    let surplus = "
        INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, queued_until, created_at)
        SELECT onering.sibling_id(p.event_id), p.event_id, w.webhook_id, w.owner_id, 'ring.found', now(), now()
        FROM (SELECT onering.publish_event('default', 'ring.found', '{}') AS event_id) AS p, external_webhooks AS w";
    client.batch_execute(surplus).await.unwrap();
    let ran = run(folder.path(), &environment, &["audit"]);
    assert!(ran.code == Some(1) && ran.out.contains("does not balance ❌ missing 0"), "{ran:?}");
    assert_eq!(ran.out.matches("evt_").count(), 2, "{ran:?}");

    // What was before the range is not its business.
    let range = ["audit", "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"];
    run(folder.path(), &environment, &range).success();
}

/// A verdict must not turn into its opposite because nobody could be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_output_is_a_failure_and_a_closed_pipe_changes_nothing() {
    let (database, folder) = (postgres().await, scratch_dir("audit-full"));
    let environment = [("DATABASE_URL", database.url())];
    run(folder.path(), &environment, &["migrate"]).success();
    let audit = |out: Stdio| command(folder.path(), &environment, &["audit"]).stdout(out).status().unwrap().code();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    assert_eq!((audit(full()), audit(closed())), (Some(1), Some(0)), "balanced");
    let client = database.connect().await;
    client.batch_execute(SUBSCRIPTION).await.unwrap();
    client.batch_execute("SELECT onering.publish_event('default', 'ring.forged', '{}')").await.unwrap();
    client.batch_execute("DELETE FROM webhook_deliveries").await.unwrap();
    assert_eq!((audit(full()), audit(closed())), (Some(1), Some(1)), "not balanced");
}

/// As `docs/configuration.md` promises for every variable.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_be_named_by_a_file() {
    let (database, folder) = (postgres().await, scratch_dir("settings"));
    let (url, config) = (folder.path().join("url"), folder.path().join("onering.toml"));
    std::fs::write(&url, database.url()).unwrap();
    std::fs::write(&config, format!("database_url = {:?}\n", database.url())).unwrap();
    run(folder.path(), &[("DATABASE_URL_FILE", url.to_str().unwrap())], &["migrate"]).success();
    run(folder.path(), &[("ONERING_CONFIG_FILE", config.to_str().unwrap())], &["audit"]).success();
    let production = [("DATABASE_URL", database.url()), ("ONERING_PROFILE", "production")];
    let refused = run(folder.path(), &production, &["audit"]);
    assert!(refused.code == Some(1) && refused.err.contains("sslmode"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_of_one_partner() {
    let (database, folder) = (postgres().await, scratch_dir("audit-owner"));
    let environment = [("DATABASE_URL", database.url())];
    run(folder.path(), &environment, &["migrate"]).success();
    let client = database.connect().await;
    client
        .batch_execute("INSERT INTO partners (owner_id, name) VALUES ('acme', 'acme'), ('other', 'other')")
        .await
        .unwrap();
    for owner in ["acme", "other"] {
        client.batch_execute(&SUBSCRIPTION.replace("default", owner)).await.unwrap();
        client.batch_execute(&format!("SELECT onering.publish_event('{owner}', 'ring.forged', '{{}}')")).await.unwrap();
    }
    client.batch_execute("SELECT onering.publish_event('*', 'ring.lost', '{}')").await.unwrap();
    let acme = ["audit", "--owner", "acme"];
    let balanced = run(folder.path(), &environment, &acme).success();
    assert!(
        balanced.contains("Of acme alone. 1 of these") && balanced.contains("The ledger balances ✅"),
        "{balanced}"
    );

    client
        .batch_execute("DELETE FROM webhook_deliveries WHERE owner_id = 'other' AND event_type = 'ring.forged'")
        .await
        .unwrap();
    run(folder.path(), &environment, &acme).success();
    assert_eq!(run(folder.path(), &environment, &["audit", "--owner", "other"]).code, Some(1));

    client.batch_execute("DELETE FROM webhook_deliveries WHERE owner_id = 'other'").await.unwrap();
    let ran = run(folder.path(), &environment, &["audit", "--owner", "acme", "--json"]);
    assert_eq!(ran.code, Some(1), "it could be acme's: {ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["missing"], &document["broadcast_unbalanced"]), (&Value::from(0), &Value::from(1)));
    assert_eq!((&document["owner_id"], &document["ledger"]["matched"]), (&Value::from("acme"), &Value::from(2)));
    let ran = run(folder.path(), &environment, &["audit", "--owner", "nobody"]);
    assert!(ran.code == Some(1) && ran.err.contains("nobody"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_against_a_receivers_list() {
    let (database, folder) = (postgres().await, scratch_dir("audit-received"));
    let environment = [("DATABASE_URL", database.url())];
    run(folder.path(), &environment, &["migrate"]).success();
    let client = database.connect().await;
    client.batch_execute(SUBSCRIPTION).await.unwrap();
    let publish = "SELECT onering.publish_event('default', 'ring.forged', '{}') FROM generate_series(1, 12000)";
    client.batch_execute(publish).await.unwrap();
    let deliver = "UPDATE webhook_deliveries SET status = 'DELIVERED', delivered_at = now(), settled_at = now(), \
                   queued_until = NULL, attempt_count = 1 WHERE status = 'PENDING'";
    client.batch_execute(deliver).await.unwrap();
    let events = "SELECT onering.typeid('evt', event_id) FROM webhook_events ORDER BY event_id";
    let events: Vec<String> = client.query(events, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();

    let list = folder.path().join("received.txt");
    let received = ["audit", "--received", "received.txt", "--owner", "default"];
    std::fs::write(&list, events.join("\n")).unwrap();
    let complete = run(folder.path(), &environment, &received).success();
    assert!(complete.contains("The receiver has everything ✅"), "{complete}");

    std::fs::write(&list, events[1..].join("\n") + "\nevt_01h455vb4pex5vsknk084sn02q\n").unwrap();
    let ran = run(folder.path(), &environment, &received);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("missing 1") && ran.out.contains(&events[0]) && ran.out.contains("dlv_"), "{ran:?}");
    assert!(ran.out.contains("evt_01h455vb4pex5vsknk084sn02q"), "what is unknown here is named: {ran:?}");

    // As the sink prints it, from standard input.
    let webhook = "SELECT onering.typeid('wh', webhook_id) FROM external_webhooks";
    let webhook: String = client.query_one(webhook, &[]).await.unwrap().get(0);
    let entries: Vec<Value> =
        events[..11_998].iter().map(|event| serde_json::json!({ "event_id": event, "status": 200 })).collect();
    let sink = serde_json::json!({ "count": entries.len(), "deliveries": entries }).to_string();
    let from_sink = ["audit", "--received", "-", "--webhook", &webhook, "--json"];
    let ran = run_with_input(folder.path(), &environment, &from_sink, sink.as_bytes());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["delivered"], &document["not_received"]), (&Value::from(12_000), &Value::from(2)));
    assert_eq!(document["first_not_received"][1]["event_id"], events[11_999].as_str());
    assert_eq!((&document["unknown"], &document["complete"]), (&Value::from(0), &Value::from(false)));

    // What is delivered after the list was taken cannot be on it.
    std::fs::write(&list, events.join("\n")).unwrap();
    client.batch_execute("SELECT onering.publish_event('default', 'ring.forged', '{}')").await.unwrap();
    client.batch_execute(&deliver.replace("delivered_at = now()", "delivered_at = '2999-01-01'")).await.unwrap();
    run(folder.path(), &environment, &received).success();
    let piped = ["audit", "--received", "-", "--owner", "default"];
    run_with_input(folder.path(), &environment, &piped, events.join("\n").as_bytes()).success();
    let as_of = |time: &str| {
        let arguments = [&received[..], &["--as-of", time, "--json"]].concat();
        let ran = run(folder.path(), &environment, &arguments);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        (ran.code, document["delivered"].as_u64(), document["not_received"].as_u64())
    };
    assert_eq!(as_of("2999-01-02T00:00:00Z"), (Some(1), Some(12_001), Some(1)));
    assert_eq!(as_of("2020-01-01T00:00:00Z"), (Some(0), Some(0), Some(0)));

    client.batch_execute(SUBSCRIPTION).await.unwrap();
    for (arguments, said) in [
        (received.to_vec(), "--webhook"),
        (vec!["audit", "--received", "received.txt"], "--webhook"),
        (vec!["audit", "--received", "received.txt", "--webhook", "wh_01h455vb4pex5vsknk084sn02q"], "wh_01h455vb4pex5"),
        (vec!["audit", "--received", "nowhere.txt", "--webhook", &webhook], "nowhere.txt"),
    ] {
        let ran = run(folder.path(), &environment, &arguments);
        assert!(ran.code == Some(1) && ran.err.contains(said), "{ran:?}");
    }
    std::fs::write(&list, "not an id\n").unwrap();
    let ran = run(folder.path(), &environment, &["audit", "--received", "received.txt", "--webhook", &webhook]);
    assert!(ran.code == Some(1) && ran.err.contains("line 1"), "{ran:?}");
}

#[test]
fn a_database_that_is_not_there_is_an_error_that_names_it() {
    let folder = scratch_dir("nowhere");
    for subcommand in ["migrate", "audit"] {
        let nobody = [("DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:9/none")];
        let ran = run(folder.path(), &nobody, &[subcommand]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("database") && !ran.err.contains("hunter2"), "{ran:?}");
        let ran = run(folder.path(), &[], &[subcommand]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("DATABASE_URL"), "{ran:?}");
    }
}
