//! `onering migrate` and `onering audit`.

use std::process::Stdio;

use onering_testkit::{postgres, scratch_dir};
use serde_json::Value;

use crate::running::{command, run};

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
