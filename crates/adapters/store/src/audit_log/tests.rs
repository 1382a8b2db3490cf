use diesel_async::AsyncConnection;
use serde_json::json;

use super::*;
use crate::testing::World;

fn entry(world: &World, actor: &str, action: &str, target_id: &str) -> NewAuditEntry {
    NewAuditEntry {
        audit_id: world.clock.fresh_id(),
        actor: actor.to_owned(),
        role: "operator".to_owned(),
        action: action.to_owned(),
        target_type: "key".to_owned(),
        target_id: target_id.to_owned(),
        before: Some(json!({"name": "a"})),
        after: None,
        ip: Some("203.0.113.7".to_owned()),
        request_id: Some("req_1".to_owned()),
    }
}

#[tokio::test]
async fn there_is_no_entry_without_its_change() {
    let mut world = World::new().await;
    let lost = entry(&world, "ann", "key.create", "key_1");
    let undone: Result<(), StoreError> = world
        .connection
        .transaction(async |conn| {
            append(conn, lost.clone()).await?;
            Err(StoreError::NotFound { what: "key" })
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(list(&mut world.connection, &AuditFilter::default(), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn listed_newest_first_by_every_filter() {
    let mut world = World::new().await;
    let entries = [
        entry(&world, "ann", "key.create", "key_1"),
        entry(&world, "bob", "key.rotate", "key_1"),
        entry(&world, "ann", "key.create", "key_2"),
    ];
    for entry in &entries {
        append(&mut world.connection, entry.clone()).await.unwrap();
    }
    let mut listed = async |filter: AuditFilter, before: Option<AuditId>, limit: u32| {
        let found = list(&mut world.connection, &filter, before, limit).await.unwrap();
        found.iter().map(|found| entries.iter().position(|entry| *entry == found.entry).unwrap()).collect::<Vec<_>>()
    };
    let all = AuditFilter::default();
    assert_eq!(listed(all.clone(), None, 2).await, [2, 1]);
    assert_eq!(listed(all.clone(), Some(entries[1].audit_id), 2).await, [0]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(listed(AuditFilter { actor: text("ann"), ..all.clone() }, None, 9).await, [2, 0]);
    assert_eq!(listed(AuditFilter { action: text("key.rotate"), ..all.clone() }, None, 9).await, [1]);
    let one = AuditFilter { target_type: text("key"), target_id: text("key_1"), ..all.clone() };
    assert_eq!(listed(one, None, 9).await, [1, 0]);
    assert_eq!(listed(AuditFilter { target_type: text("partner"), ..all.clone() }, None, 9).await, [0; 0]);
    let hour = chrono::TimeDelta::hours(1);
    let now = world.clock.now();
    let mut listed = async |filter: AuditFilter| list(&mut world.connection, &filter, None, 9).await.unwrap().len();
    assert_eq!(listed(AuditFilter { from: Some(now - hour), to: Some(now + hour), ..all.clone() }).await, 3);
    assert_eq!(listed(AuditFilter { from: Some(now + hour), ..all.clone() }).await, 0);
    assert_eq!(listed(AuditFilter { to: Some(now - hour), ..all }).await, 0);
}

#[tokio::test]
async fn nothing_is_ever_changed_or_removed() {
    let mut world = World::new().await;
    let kept = entry(&world, "ann", "key.create", "key_1");
    append(&mut world.connection, kept).await.unwrap();
    for statement in
        ["DELETE FROM admin_audit_log", "UPDATE admin_audit_log SET actor = 'bob'", "TRUNCATE admin_audit_log"]
    {
        assert!(world.refused(statement).await.contains("appended only"), "{statement}");
    }
}
