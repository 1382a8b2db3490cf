use onering_rollout::Switches;

use super::*;
use crate::testing::World;

fn narrowing(switch: Switch, value: &str) -> NewOverride {
    NewOverride {
        switch,
        value: switch.parse_override(value).unwrap(),
        reason: "incident".to_owned(),
        set_by: "op".to_owned(),
    }
}

fn receipt(process: &str, generation: u64) -> Receipt {
    Receipt {
        process: process.to_owned(),
        service: "api-gateway".to_owned(),
        generation,
        fingerprint: Switches::default().fingerprint(),
        switches: serde_json::to_value(Switches::default()).unwrap(),
        changed_at: None,
        applied_at: "2026-03-01T12:00:00Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn overrides_are_set_replaced_and_cleared_in_order() {
    let mut world = World::new().await;
    let conn = &mut world.connection;
    assert_eq!(Overrides::of(&overrides(conn).await.unwrap()).values, SourceValues::default());

    let first = set_override(conn, &narrowing(Switch::WebhookPercent, "12.5")).await.unwrap();
    assert_eq!(first.before, None);
    let second = set_override(conn, &narrowing(Switch::WebhookPercent, "5")).await.unwrap();
    assert_eq!(second.before.as_ref(), Some(&first.after));
    assert!(second.after.generation > first.after.generation);
    let third = set_override(conn, &narrowing(Switch::Delivery, "0")).await.unwrap().after;

    let rows = overrides(conn).await.unwrap();
    assert_eq!(rows, [second.after.clone(), third.clone()]);
    let all = Overrides::of(&rows);
    assert_eq!((all.values.delivery, all.values.webhook_percent), (Some(false), Some("5".parse().unwrap())));
    assert_eq!(all.changed_at, Some(third.set_at));

    assert_eq!(clear_override(conn, Switch::Delivery).await.unwrap(), Some(third));
    assert_eq!(clear_override(conn, Switch::Delivery).await.unwrap(), None);
    assert_eq!(overrides(conn).await.unwrap(), [second.after]);
}

#[tokio::test]
async fn an_override_for_an_unknown_switch_is_an_error() {
    let mut world = World::new().await;
    world.sql("INSERT INTO flag_overrides (name, value, set_by) VALUES ('ONERING_NEWER', '0', 'op')").await;
    let refused = overrides(&mut world.connection).await;
    assert!(matches!(refused, Err(StoreError::Row { .. })), "{refused:?}");
}

#[tokio::test]
async fn receipts_of_the_living_are_listed() {
    let mut world = World::new().await;
    for receipt in [receipt("gw-1", 1), receipt("gw-2", 3), receipt("gw-1", 2)] {
        report_receipt(&mut world.connection, receipt).await.unwrap();
    }
    assert_eq!(receipts(&mut world.connection).await.unwrap(), [receipt("gw-1", 2), receipt("gw-2", 3)]);

    world.sql("UPDATE flag_receipts SET seen_at = now() - interval '61 seconds' WHERE process = 'gw-2'").await;
    assert_eq!(receipts(&mut world.connection).await.unwrap(), [receipt("gw-1", 2)]);

    world.sql("UPDATE flag_receipts SET seen_at = now() - interval '25 hours'").await;
    report_receipt(&mut world.connection, receipt("gw-1", 3)).await.unwrap();
    assert_eq!(receipts(&mut world.connection).await.unwrap(), [receipt("gw-1", 3)]);
    assert_eq!(world.number("SELECT count(*) FROM flag_receipts").await, 1, "the one silent for a day is gone");
}
