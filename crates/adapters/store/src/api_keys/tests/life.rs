use chrono::TimeDelta;
use onering_rate_limit::Limit;

use super::*;
use crate::{StoreError, partners};

#[tokio::test]
async fn a_key_is_made_with_its_partner_and_its_secret() {
    let mut world = World::new().await;
    let key = NewKey {
        tier: Tier::Pro,
        rate_limit_override: Some(Limit::new(250).unwrap()),
        burst_per_second: Some(5),
        canary: true,
        ip_allowlist: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        expires_at: Some(world.clock.now() + TimeDelta::days(1)),
        metadata: json!({"team": "forge"}),
        ..new_key(&world)
    };
    let secret = new_secret(&world);
    let made = create(&mut world.connection, &key, &secret).await.unwrap();
    let conn = &mut world.connection;
    assert_eq!(made.secrets.len(), 1);
    assert_eq!((made.secrets[0].secret_id, made.secrets[0].expires_at), (secret.secret_id, None));
    assert_eq!(
        (made.tier, made.rate_limit_override, made.burst_per_second),
        (key.tier, key.rate_limit_override, Some(5))
    );
    assert_eq!((&made.scopes, &made.ip_allowlist, made.expires_at), (&key.scopes, &key.ip_allowlist, key.expires_at));
    assert_eq!((made.canary, made.is_active, made.blocked, &made.metadata), (true, true, false, &key.metadata));
    assert_eq!(get(conn, key.key_id).await.unwrap(), Some(made));
    assert_eq!(digests_of(conn, &[key.key_id]).await.unwrap(), [secret.digest]);
    assert_eq!(digests_of_owner(conn, &key.owner_id).await.unwrap(), [secret.digest]);
    assert!(partners::get(conn, &key.owner_id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_digest_that_is_taken_leaves_nothing_behind() {
    let mut world = World::new().await;
    let first = new_key(&world);
    let (_, digest) = made(&mut world, &first).await;
    let (key, secret) = (NewKey { owner_id: "other".parse().unwrap(), ..new_key(&world) }, new_secret(&world));
    let refused = create(&mut world.connection, &key, &NewSecret { digest, ..secret }).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(get(&mut world.connection, key.key_id).await.unwrap(), None);
    assert_eq!(partners::get(&mut world.connection, &key.owner_id).await.unwrap(), None);
}

#[tokio::test]
async fn listed_newest_first_by_every_filter() {
    let mut world = World::new().await;
    let owner: OwnerId = "other".parse().unwrap();
    let past = world.clock.now() - TimeDelta::seconds(1);
    let keys = [
        new_key(&world),
        NewKey { tier: Tier::Pro, ..new_key(&world) },
        NewKey { owner_id: owner.clone(), ..new_key(&world) },
        NewKey { expires_at: Some(past), ..new_key(&world) },
    ];
    for key in &keys {
        made(&mut world, key).await;
    }
    disable(&mut world.connection, keys[1].key_id).await.unwrap();
    let mut listed = async |filter: KeyFilter, before: Option<KeyId>, limit: u32| {
        let found = list(&mut world.connection, &filter, before, limit).await.unwrap();
        assert!(found.iter().all(|key| key.secrets.len() == 1));
        found.iter().map(|found| keys.iter().position(|key| key.key_id == found.key_id).unwrap()).collect::<Vec<_>>()
    };
    let all = KeyFilter::default();
    assert_eq!(listed(all.clone(), None, 2).await, [3, 2]);
    assert_eq!(listed(all.clone(), Some(keys[2].key_id), 9).await, [1, 0]);
    assert_eq!(listed(KeyFilter { owner_id: Some(owner), ..all.clone() }, None, 9).await, [2]);
    assert_eq!(listed(KeyFilter { tier: Some(Tier::Pro), ..all.clone() }, None, 9).await, [1]);
    assert_eq!(listed(KeyFilter { active: Some(true), ..all.clone() }, None, 9).await, [2, 0]);
    assert_eq!(listed(KeyFilter { active: Some(false), ..all }, None, 9).await, [3, 1]);
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let mut world = World::new().await;
    let key = NewKey {
        rate_limit_override: Some(Limit::new(5).unwrap()),
        expires_at: Some(world.clock.now() + TimeDelta::days(1)),
        ip_allowlist: vec!["203.0.113.0/24".parse().unwrap()],
        ..new_key(&world)
    };
    let (before, _) = made(&mut world, &key).await;
    let conn = &mut world.connection;
    let change =
        KeyChange { name: Some("renamed".to_owned()), burst_per_second: Some(Some(7)), ..KeyChange::default() };
    let changed = update(conn, key.key_id, &change).await.unwrap().unwrap();
    assert_eq!(changed.before, before);
    let expected = ApiKey {
        name: "renamed".to_owned(),
        burst_per_second: Some(7),
        updated_at: changed.after.updated_at,
        ..before.clone()
    };
    assert_eq!(changed.after, expected);

    let change = KeyChange {
        rate_limit_override: Some(None),
        burst_per_second: Some(None),
        expires_at: Some(None),
        ip_allowlist: Some(Vec::new()),
        tier: Some(Tier::Enterprise),
        canary: Some(true),
        scopes: Some(ScopeSet::parse(["write:events"]).unwrap()),
        metadata: Some(json!({"a": 1})),
        name: None,
    };
    let after = update(conn, key.key_id, &change).await.unwrap().unwrap().after;
    assert_eq!((after.rate_limit_override, after.burst_per_second, after.expires_at), (None, None, None));
    assert_eq!((after.ip_allowlist.len(), after.tier, after.canary), (0, Tier::Enterprise, true));
    assert_eq!(
        (after.scopes.to_texts(), after.metadata, after.name.as_str()),
        (vec!["write:events".to_owned()], json!({"a": 1}), "renamed")
    );
}

#[tokio::test]
async fn disabled_enabled_revoked_and_deleted() {
    let mut world = World::new().await;
    let key = new_key(&world);
    let (_, digest) = made(&mut world, &key).await;
    let id = key.key_id;
    let off = disable(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!((off.before.is_active, off.after.is_active), (true, false));
    assert!(!found(&mut world, digest).await.unwrap().is_active);
    assert!(enable(&mut world.connection, id).await.unwrap().unwrap().after.is_active);

    let revoked = revoke(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!(revoked.before.revoked_at, None);
    let again = revoke(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!(again.after.revoked_at, revoked.after.revoked_at, "the first time counts");
    enable(&mut world.connection, id).await.unwrap();
    assert!(found(&mut world, digest).await.unwrap().revoked, "for good");

    assert_eq!(delete(&mut world.connection, id).await.unwrap().unwrap().key_id, id);
    assert_eq!(delete(&mut world.connection, id).await.unwrap(), None);
    assert_eq!(found(&mut world, digest).await, None);
    assert_eq!(disable(&mut world.connection, id).await.unwrap(), None);
    assert_eq!(update(&mut world.connection, id, &KeyChange::default()).await.unwrap(), None);
    assert_eq!(revoke(&mut world.connection, id).await.unwrap(), None);
}
