use serde_json::json;

use super::*;
use crate::testing::World;

#[tokio::test]
async fn created_changed_and_switched_off_and_on() {
    let mut world = World::new().await;
    let conn = &mut world.connection;
    let acme: OwnerId = "acme".parse().unwrap();
    assert_eq!(get(conn, &acme).await.unwrap(), None);
    assert_eq!(update(conn, &acme, &PartnerChange::default()).await.unwrap(), None);

    let change = PartnerChange { name: Some("Acme".to_owned()), canary: Some(true), metadata: None };
    let made = upsert(conn, &acme, &change).await.unwrap();
    assert_eq!(made.before, None);
    assert_eq!((made.after.name.as_str(), made.after.canary, &made.after.metadata), ("Acme", true, &json!({})));

    let change = PartnerChange { metadata: Some(json!({"tier": 1})), ..PartnerChange::default() };
    let changed = upsert(conn, &acme, &change).await.unwrap();
    assert_eq!(changed.before.as_ref(), Some(&made.after));
    assert_eq!((changed.after.name.as_str(), changed.after.canary), ("Acme", true), "what is not named stays");
    assert_eq!(changed.after.metadata, json!({"tier": 1}));

    let off = disable(conn, &acme).await.unwrap().unwrap();
    assert_eq!((off.before.status, off.after.status), (PartnerStatus::Active, PartnerStatus::Disabled));
    assert!(!ensure(conn, &acme).await.unwrap());
    assert_eq!(get(conn, &acme).await.unwrap().unwrap().status, PartnerStatus::Disabled, "ensure changes nothing");
    assert_eq!(enable(conn, &acme).await.unwrap().unwrap().after.status, PartnerStatus::Active);
}

#[tokio::test]
async fn listed_by_name_in_pages() {
    let mut world = World::new().await;
    for owner in ["zeta", "beta", "alpha"] {
        assert!(ensure(&mut world.connection, &owner.parse().unwrap()).await.unwrap());
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = list(&mut world.connection, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.owner_id.clone());
        names.extend(page.into_iter().map(|partner| partner.name));
    }
    assert_eq!(names, ["alpha", "beta", "Default partner", "zeta"]);
}

#[tokio::test]
async fn a_value_that_breaks_a_rule_is_a_conflict() {
    let mut world = World::new().await;
    let change = PartnerChange { name: Some(String::new()), ..PartnerChange::default() };
    let refused = upsert(&mut world.connection, &"acme".parse().unwrap(), &change).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(world.number("SELECT count(*) FROM partners WHERE owner_id = 'acme'").await, 0);
}
