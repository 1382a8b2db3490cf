use chrono::TimeDelta;
use onering_keys::rotation::Grace;

use super::*;
use crate::blocklist::{self, BlockTarget, NewBlock};

fn rotation(world: &World, grace_seconds: u32) -> Rotation {
    Rotation {
        target: RotationTarget::SameKey,
        secret: new_secret(world),
        grace: Grace::from_seconds(grace_seconds).unwrap(),
        expires_at: None,
        ip_allowlist: None,
        rotated_by: "rotator".to_owned(),
    }
}

async fn rotated(world: &mut World, key: KeyId, rotation: &Rotation) -> Rotated {
    match rotate(&mut world.connection, key, rotation).await.unwrap() {
        RotationOutcome::Rotated(rotated) => *rotated,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_secrets_open_the_same_key_during_the_grace() {
    let mut world = World::new().await;
    let key = NewKey {
        ip_allowlist: vec!["203.0.113.0/24".parse().unwrap()],
        expires_at: Some(world.clock.now() + TimeDelta::days(30)),
        ..new_key(&world)
    };
    let (before, old) = made(&mut world, &key).await;
    let rotation = rotation(&world, 3600);
    let done = rotated(&mut world, key.key_id, &rotation).await;

    assert_eq!(done.stale, [old]);
    assert_eq!(done.keys.before, before);
    let after = &done.keys.after;
    assert_eq!((after.key_id, &after.ip_allowlist, after.expires_at), (key.key_id, &key.ip_allowlist, key.expires_at));
    assert!(after.rotated_at.is_some());
    let ends: Vec<_> = after.secrets.iter().map(|secret| (secret.secret_id, secret.expires_at)).collect();
    assert_eq!(ends, [(rotation.secret.secret_id, None), (before.secrets[0].secret_id, Some(done.old_works_until))]);
    let grace = done.old_works_until - world.clock.now();
    assert!(grace > TimeDelta::seconds(3590) && grace <= TimeDelta::seconds(3600), "{grace}");

    let with_old = found(&mut world, old).await.unwrap();
    let with_new = found(&mut world, rotation.secret.digest).await.unwrap();
    assert_eq!((with_old.secret_expires_at, with_new.secret_expires_at), (Some(done.old_works_until), None));
    assert_eq!(onering_keys::KeyRecord { secret_expires_at: None, ..with_old }, with_new);
}

#[tokio::test]
async fn the_next_rotation_ends_the_one_before() {
    let mut world = World::new().await;
    let key = new_key(&world);
    let (_, first) = made(&mut world, &key).await;
    let (second, third) = (rotation(&world, 3600), rotation(&world, 3600));
    rotated(&mut world, key.key_id, &second).await;
    let done = rotated(&mut world, key.key_id, &third).await;
    assert_eq!(done.keys.after.secrets.len(), 2);
    let mut stale = done.stale;
    stale.sort_unstable();
    let mut expected = [first, second.secret.digest];
    expected.sort_unstable();
    assert_eq!(stale, expected);
    assert_eq!(found(&mut world, first).await, None);
    assert!(found(&mut world, second.secret.digest).await.unwrap().secret_expires_at.is_some());
}

#[tokio::test]
async fn without_grace_the_old_secret_ends_at_once_and_what_is_named_changes() {
    let mut world = World::new().await;
    let key = new_key(&world);
    let (_, old) = made(&mut world, &key).await;
    let expires_at = world.clock.now() + TimeDelta::days(7);
    let allowlist = vec!["198.51.100.0/24".parse().unwrap()];
    let rotation =
        Rotation { expires_at: Some(expires_at), ip_allowlist: Some(allowlist.clone()), ..rotation(&world, 0) };
    let after = rotated(&mut world, key.key_id, &rotation).await.keys.after;
    assert_eq!((after.expires_at, after.ip_allowlist, after.secrets.len()), (Some(expires_at), allowlist, 1));
    assert_eq!(found(&mut world, old).await, None);
    assert!(found(&mut world, rotation.secret.digest).await.is_some());
}

#[tokio::test]
async fn a_new_key_takes_everything_over_and_the_old_one_expires() {
    let mut world = World::new().await;
    let key = NewKey {
        tier: Tier::Pro,
        canary: true,
        burst_per_second: Some(3),
        ip_allowlist: vec!["203.0.113.0/24".parse().unwrap()],
        metadata: json!({"team": "forge"}),
        ..new_key(&world)
    };
    let (before, old) = made(&mut world, &key).await;
    let block = NewBlock {
        block_id: world.clock.fresh_id(),
        target: BlockTarget::Key(key.key_id),
        reason: "leaked".to_owned(),
        expires_at: None,
        created_by: "op".to_owned(),
    };
    blocklist::add(&mut world.connection, block).await.unwrap();
    let new_id: KeyId = world.clock.fresh_id();
    let rotation = Rotation { target: RotationTarget::NewKey(new_id), ..rotation(&world, 60) };
    let done = rotated(&mut world, key.key_id, &rotation).await;
    let after = done.keys.after;
    let expected = ApiKey {
        key_id: new_id,
        blocked: true,
        created_by: "rotator".to_owned(),
        rotated_at: after.rotated_at,
        created_at: after.created_at,
        updated_at: after.updated_at,
        secrets: after.secrets.clone(),
        ..before
    };
    assert_eq!(after, expected, "blocked like the one it replaces");
    assert_eq!(after.secrets[0].secret_id, rotation.secret.secret_id);

    let old_record = found(&mut world, old).await.unwrap();
    assert_eq!((old_record.key_id, old_record.expires_at), (key.key_id, Some(done.old_works_until)));
    assert_eq!(found(&mut world, rotation.secret.digest).await.unwrap().key_id, new_id);
    assert_eq!(done.stale, [old]);
}

#[tokio::test]
async fn a_replaced_key_does_not_live_longer_than_it_would_have() {
    let mut world = World::new().await;
    let end = world.clock.now() + TimeDelta::seconds(30);
    let key = NewKey { expires_at: Some(end), ..new_key(&world) };
    made(&mut world, &key).await;
    let target = RotationTarget::NewKey(world.clock.fresh_id());
    let rotation = Rotation { target, ..rotation(&world, 3600) };
    assert_eq!(rotated(&mut world, key.key_id, &rotation).await.old_works_until, end);
}

#[tokio::test]
async fn what_cannot_be_rotated_stays_as_it_is() {
    let mut world = World::new().await;
    let key = new_key(&world);
    let (_, digest) = made(&mut world, &key).await;
    let rotation = rotation(&world, 60);
    let nobody: KeyId = world.clock.fresh_id();
    let outcome = rotate(&mut world.connection, nobody, &rotation).await.unwrap();
    assert_eq!(outcome, RotationOutcome::NotFound);

    // The same digest again: refused in the middle, and undone as a whole.
    let taken = Rotation { secret: NewSecret { digest, ..rotation.secret.clone() }, ..rotation.clone() };
    rotate(&mut world.connection, key.key_id, &taken).await.unwrap_err();
    assert_eq!(found(&mut world, digest).await.unwrap().secret_expires_at, None);

    revoke(&mut world.connection, key.key_id).await.unwrap();
    assert_eq!(rotate(&mut world.connection, key.key_id, &rotation).await.unwrap(), RotationOutcome::Revoked);
    assert_eq!(found(&mut world, rotation.secret.digest).await, None);
}

#[tokio::test]
async fn two_rotations_at_once_leave_two_live_secrets() {
    let mut world = World::new().await;
    let key = new_key(&world);
    made(&mut world, &key).await;
    let (one, other) = (rotation(&world, 60), rotation(&world, 60));
    let (mut first, mut second) = (world.another_connection().await, world.another_connection().await);
    let both = tokio::join!(rotate(&mut first, key.key_id, &one), rotate(&mut second, key.key_id, &other));
    assert!(matches!((both.0.unwrap(), both.1.unwrap()), (RotationOutcome::Rotated(_), RotationOutcome::Rotated(_))));
    let secrets = get(&mut world.connection, key.key_id).await.unwrap().unwrap().secrets;
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets.iter().filter(|secret| secret.expires_at.is_none()).count(), 1);
}
