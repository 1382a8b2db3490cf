use chrono::TimeDelta;

use super::*;
use crate::monitoring_reads::plan::plan;
use crate::testing::World;

fn new(world: &World, name: &str) -> NewAdminKey {
    NewAdminKey {
        admin_key_id: world.clock.fresh_id(),
        name: name.to_owned(),
        role: Role::Operator,
        digest: TokenDigest::from_bytes(world.clock.entropy32()),
        expires_at: None,
        created_by: "test".to_owned(),
    }
}

#[tokio::test]
async fn made_found_listed_and_revoked() {
    let mut world = World::new().await;
    let (first, second) = (new(&world, "ann"), new(&world, "bob"));
    let now = world.clock.now();
    let conn = &mut world.connection;
    let ann = create(conn, first.clone()).await.unwrap();
    let bob = create(conn, second.clone()).await.unwrap();
    assert_eq!((ann.name.as_str(), ann.role, ann.is_live(now)), ("ann", Role::Operator, true));
    assert_eq!(find_by_digest(conn, &first.digest).await.unwrap(), Some(ann.clone()));
    assert_eq!(find_by_digest(conn, &TokenDigest::from_bytes([0; 32])).await.unwrap(), None);
    assert_eq!(list(conn, None, 1).await.unwrap(), std::slice::from_ref(&bob));
    assert_eq!(list(conn, Some(bob.admin_key_id), 5).await.unwrap(), std::slice::from_ref(&ann));

    let revoked = revoke(conn, ann.admin_key_id).await.unwrap().unwrap();
    assert!(!revoked.is_live(now));
    assert_eq!(revoke(conn, ann.admin_key_id).await.unwrap(), Some(revoked), "the first time counts");
    let taken = NewAdminKey { digest: first.digest, ..second };
    assert!(matches!(create(conn, taken).await, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn an_expired_key_is_not_live() {
    let mut world = World::new().await;
    let end = world.clock.now() + TimeDelta::hours(1);
    let key = NewAdminKey { expires_at: Some(end), ..new(&world, "ann") };
    let key = create(&mut world.connection, key).await.unwrap();
    assert!(key.is_live(end - TimeDelta::microseconds(1)));
    assert!(!key.is_live(end));
}

#[tokio::test]
async fn use_is_noted_once_a_minute() {
    let mut world = World::new().await;
    let new = new(&world, "ann");
    let id = create(&mut world.connection, new.clone()).await.unwrap().admin_key_id;
    touch(&mut world.connection, id).await.unwrap();
    world.sql("UPDATE admin_keys SET last_used_at = now() - interval '59 seconds'").await;
    let before = find_by_digest(&mut world.connection, &new.digest).await.unwrap().unwrap().last_used_at;
    touch(&mut world.connection, id).await.unwrap();
    let after = find_by_digest(&mut world.connection, &new.digest).await.unwrap().unwrap().last_used_at;
    assert_eq!(before, after);
    world.sql("UPDATE admin_keys SET last_used_at = now() - interval '61 seconds'").await;
    touch(&mut world.connection, id).await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM admin_keys WHERE last_used_at > now() - interval '30 s'").await, 1);
}

#[tokio::test]
async fn the_look_up_uses_the_index() {
    let mut world = World::new().await;
    let plan = plan(&mut world.connection, FindByDigest { digest: vec![0; 32] }).await;
    assert!(plan.contains("Index Scan using admin_keys_digest_key"), "{plan}");
}
