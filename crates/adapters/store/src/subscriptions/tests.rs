use std::time::Duration;

use chrono::TimeDelta;
use onering_delivery::Standing;
use onering_ids::{OwnerId, SecretId, SubscriptionId};
use onering_signing::KeyPair;
use onering_webhooks::{
    DisabledBy, Disablement, NewSubscription, Subscription, SubscriptionChange, SubscriptionInput, SubscriptionPatch,
    SubscriptionState, SubscriptionStatus,
};
use serde_json::{Value, json};

use super::*;
use crate::monitoring_reads::plan::plan;
use crate::testing::World;
use crate::{StoreError, partners};

fn new(body: Value) -> NewSubscription {
    let input: SubscriptionInput = serde_json::from_value(body).unwrap();
    NewSubscription::parse(input).unwrap()
}

fn change(body: Value) -> SubscriptionChange {
    let patch: SubscriptionPatch = serde_json::from_value(body).unwrap();
    SubscriptionChange::parse(patch).unwrap()
}

fn secret(world: &World) -> NewSealedSecret {
    NewSealedSecret {
        secret_id: world.clock.fresh_id(),
        kid: "k1".to_owned(),
        sealed: world.clock.entropy32().to_vec(),
    }
}

/// A subscription of `owner` to everything.
async fn made(world: &mut World, owner: &OwnerId) -> (Subscription, NewSealedSecret) {
    let (id, secret) = (world.clock.fresh_id(), secret(world));
    let new = new(json!({"url": "https://a.example/hook", "events": ["*"]}));
    (create(&mut world.connection, owner, id, &new, secret.clone()).await.unwrap(), secret)
}

async fn loaded(world: &mut World, id: SubscriptionId) -> DeliveryTarget {
    load_for_delivery(&mut world.connection, &[id]).await.unwrap().pop().unwrap().target.unwrap()
}

fn acme() -> OwnerId {
    "acme".parse().unwrap()
}

#[tokio::test]
async fn every_setting_survives_the_row() {
    let mut world = World::new().await;
    let all = new(json!({
        "url": "https://a.example/hook?x=1", "events": ["ring.*", "draft.published"], "description": "d",
        "headers": {"Authorization": "Bearer t"}, "timeout_seconds": 3, "max_in_flight": 7, "rate_limit_per_second": 9,
        "max_event_age_seconds": 60, "signature_schemes": ["timestamp-body"], "retry_client_errors": true,
        "filter": {"kind": ["gold", {"prefix": "s"}]},
    }));
    let plain = new(json!({"url": "https://b.example/", "events": ["*"]}));
    for new in [all, plain] {
        let (id, secret) = (world.clock.fresh_id(), secret(&world));
        let made = create(&mut world.connection, &acme(), id, &new, secret).await.unwrap();
        assert_eq!(made.settings, new.settings);
        assert_eq!((made.webhook_id, made.owner_id.clone(), &made.state), (id, acme(), &SubscriptionState::Active));
        assert_eq!(get(&mut world.connection, &acme(), id).await.unwrap(), Some(made));
    }
}

#[tokio::test]
async fn another_partners_subscription_is_not_there() {
    let mut world = World::new().await;
    let (subscription, _) = made(&mut world, &acme()).await;
    let (id, other) = (subscription.webhook_id, "other".parse::<OwnerId>().unwrap());
    let spare = secret(&world);
    let conn = &mut world.connection;
    partners::ensure(conn, &other).await.unwrap();
    assert_eq!(get(conn, &other, id).await.unwrap(), None);
    assert_eq!(update(conn, &other, id, change(json!({"description": "mine"}))).await.unwrap(), None);
    assert_eq!(delete(conn, &other, id).await.unwrap(), None);
    assert_eq!(rotate_secret(conn, &other, id, spare, Duration::ZERO).await.unwrap(), None);
    assert!(list(conn, &other, None, None, 9).await.unwrap().is_empty());
    assert_eq!(get_any_owner(conn, id).await.unwrap(), Some(subscription));
}

#[tokio::test]
async fn listed_newest_first_by_owner_and_status() {
    let mut world = World::new().await;
    let other: OwnerId = "other".parse().unwrap();
    let mut ids = Vec::new();
    for owner in [&acme(), &other, &acme()] {
        ids.push(made(&mut world, owner).await.0.webhook_id);
    }
    let conn = &mut world.connection;
    pause_any_owner(conn, ids[0]).await.unwrap();
    let of = |found: Vec<Subscription>| found.into_iter().map(|found| found.webhook_id).collect::<Vec<_>>();
    assert_eq!(of(list(conn, &acme(), None, None, 9).await.unwrap()), [ids[2], ids[0]]);
    assert_eq!(of(list(conn, &acme(), None, Some(ids[2]), 9).await.unwrap()), [ids[0]]);
    assert_eq!(of(list(conn, &acme(), Some(SubscriptionStatus::Paused), None, 9).await.unwrap()), [ids[0]]);
    let all = SubscriptionFilter::default();
    assert_eq!(of(list_any_owner(conn, &all, None, 2).await.unwrap()), [ids[2], ids[1]]);
    assert_eq!(of(list_any_owner(conn, &all, Some(ids[1]), 2).await.unwrap()), [ids[0]]);
    let active = SubscriptionFilter { status: Some(SubscriptionStatus::Active), ..all };
    assert_eq!(of(list_any_owner(conn, &active, None, 9).await.unwrap()), [ids[2], ids[1]]);
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let mut world = World::new().await;
    let (before, _) = made(&mut world, &acme()).await;
    let id = before.webhook_id;
    let conn = &mut world.connection;
    let changed = update(conn, &acme(), id, change(json!({"description": "d", "filter": {"n": [1]}}))).await;
    let changed = changed.unwrap().unwrap();
    assert_eq!(changed.before, before);
    let mut expected = before.clone();
    change(json!({"description": "d", "filter": {"n": [1]}})).apply(&mut expected, changed.after.updated_at);
    assert_eq!(changed.after, expected);
    let cleared = update_any_owner(conn, id, change(json!({"description": null, "filter": null}))).await;
    assert_eq!(cleared.unwrap().unwrap().after.settings, before.settings);
    let unknown = SubscriptionId::floor(0);
    assert_eq!(update_any_owner(conn, unknown, change(json!({}))).await.unwrap(), None);
}

#[tokio::test]
async fn paused_disabled_and_enabled() {
    let mut world = World::new().await;
    let (subscription, _) = made(&mut world, &acme()).await;
    let id = subscription.webhook_id;
    let paused = pause_any_owner(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!((paused.before.state, paused.after.state), (SubscriptionState::Active, SubscriptionState::Paused));

    let disabled = disable_any_owner(&mut world.connection, id, "noisy").await.unwrap().unwrap().after;
    let at = disabled.state.disablement().unwrap().at;
    let by_operator = |reason: &str| {
        SubscriptionState::Disabled(Disablement { by: DisabledBy::Operator, reason: reason.to_owned(), at })
    };
    assert_eq!((disabled.state, at), (by_operator("noisy"), disabled.updated_at), "by the database's clock");
    let again = disable_any_owner(&mut world.connection, id, "by hand").await.unwrap().unwrap().after;
    assert_eq!(again.state, by_operator("by hand"), "since the first time");
    let still = pause_any_owner(&mut world.connection, id).await.unwrap().unwrap().after;
    assert_eq!(still.state, by_operator("by hand"), "pausing does not lift a ban");
    assert_eq!(get_any_owner(&mut world.connection, id).await.unwrap(), Some(still));

    world.sql("UPDATE external_webhooks SET failing_since = now()").await;
    let enabled = enable_any_owner(&mut world.connection, id).await.unwrap().unwrap().after;
    assert_eq!(enabled, Subscription { updated_at: enabled.updated_at, ..subscription });
}

#[tokio::test]
async fn what_the_platform_disabled_is_the_operators_once_an_operator_disables_it() {
    let mut world = World::new().await;
    let (subscription, _) = made(&mut world, &acme()).await;
    world
        .sql("UPDATE external_webhooks SET status = 'disabled', disabled_by = 'platform', disabled_reason = '410', disabled_at = now()")
        .await;
    let changed = disable_any_owner(&mut world.connection, subscription.webhook_id, "noisy").await.unwrap().unwrap();
    let by = |subscription: &Subscription| subscription.state.disablement().unwrap().by;
    assert_eq!((by(&changed.before), by(&changed.after)), (DisabledBy::Platform, DisabledBy::Operator));
}

#[tokio::test]
async fn a_deleted_subscription_is_only_there_for_its_deliveries() {
    let mut world = World::new().await;
    let (subscription, _) = made(&mut world, &acme()).await;
    let id = subscription.webhook_id;
    assert_eq!(delete(&mut world.connection, &acme(), id).await.unwrap(), Some(subscription));
    assert_eq!(delete_any_owner(&mut world.connection, id).await.unwrap(), None);
    assert_eq!(get_any_owner(&mut world.connection, id).await.unwrap(), None);
    assert_eq!(enable_any_owner(&mut world.connection, id).await.unwrap(), None);
    let target = loaded(&mut world, id).await;
    assert_eq!((target.subscription.standing(), target.secrets.len()), (Standing::Deleted, 0));
    assert_eq!(world.number("SELECT count(*) FROM external_webhook_secrets").await, 0);
}

#[tokio::test]
async fn at_most_two_secrets_sign() {
    let mut world = World::new().await;
    let (subscription, first) = made(&mut world, &acme()).await;
    let id = subscription.webhook_id;
    let (second, third, fourth) = (secret(&world), secret(&world), secret(&world));
    let ids =
        |target: &DeliveryTarget| target.secrets.iter().map(|live| live.secret.secret_id).collect::<Vec<SecretId>>();

    let hour = Duration::from_secs(3600);
    let rotated = rotate_secret(&mut world.connection, &acme(), id, second.clone(), hour).await.unwrap().unwrap();
    let ends = rotated.previous_expires_at.unwrap();
    let overlap = ends - world.clock.now();
    assert!(overlap > TimeDelta::seconds(3590) && overlap <= TimeDelta::seconds(3600), "{overlap}");
    let target = loaded(&mut world, id).await;
    let expected = [
        SealedSecret { secret: second.clone(), expires_at: None },
        SealedSecret { secret: first, expires_at: Some(ends) },
    ];
    assert_eq!(target.secrets, expected);

    rotate_secret_any_owner(&mut world.connection, id, third.clone(), hour).await.unwrap().unwrap();
    assert_eq!(ids(&loaded(&mut world, id).await), [third.secret_id, second.secret_id]);
    world.sql("UPDATE external_webhook_secrets SET expires_at = now() WHERE expires_at IS NOT NULL").await;
    assert_eq!(ids(&loaded(&mut world, id).await), [third.secret_id], "its overlap is over");

    let cut = rotate_secret(&mut world.connection, &acme(), id, fourth.clone(), Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(cut.previous_expires_at, None);
    assert_eq!(ids(&loaded(&mut world, id).await), [fourth.secret_id]);
}

fn key_pair(world: &World) -> NewSealedKeyPair {
    let public_key = KeyPair::from_entropy(world.clock.entropy32()).public_key();
    NewSealedKeyPair { sealed: secret(world), public_key }
}

fn secret_ids(stored: &[SealedSecret]) -> Vec<SecretId> {
    stored.iter().map(|stored| stored.secret.secret_id).collect()
}

#[tokio::test]
async fn a_key_pair_is_given_once_and_rotated_with_the_secret() {
    let mut world = World::new().await;
    let (subscription, first) = made(&mut world, &acme()).await;
    let (id, hour) = (subscription.webhook_id, Duration::from_secs(3600));
    let keys = |world: &World| NewSealedKeys { secret: secret(world), key_pair: Some(key_pair(world)) };

    let unwanted = keys(&world);
    let rotated = rotate_secret(&mut world.connection, &acme(), id, unwanted.clone(), hour).await.unwrap().unwrap();
    assert_eq!(rotated.public_key, None, "there was none to rotate");
    assert_eq!(public_keys(&mut world.connection, id).await.unwrap(), []);

    let (given, refused) = (key_pair(&world), key_pair(&world));
    give_key_pair(&mut world.connection, id, given.clone()).await.unwrap();
    give_key_pair(&mut world.connection, id, refused).await.unwrap();
    let only = [LivePublicKey { public_key: given.public_key, expires_at: None }];
    assert_eq!(public_keys(&mut world.connection, id).await.unwrap(), only);
    let target = loaded(&mut world, id).await;
    assert_eq!(secret_ids(&target.secrets), [unwanted.secret.secret_id, first.secret_id]);
    assert_eq!(secret_ids(&target.key_pairs), [given.sealed.secret_id]);

    let next = keys(&world);
    let next_pair = next.key_pair.clone().unwrap();
    let rotated = rotate_secret(&mut world.connection, &acme(), id, next.clone(), hour).await.unwrap().unwrap();
    assert_eq!(rotated.public_key, Some(next_pair.public_key));
    let target = loaded(&mut world, id).await;
    assert_eq!(secret_ids(&target.secrets), [next.secret.secret_id, unwanted.secret.secret_id]);
    assert_eq!(secret_ids(&target.key_pairs), [next_pair.sealed.secret_id, given.sealed.secret_id]);
    assert_eq!(target.key_pairs[1].expires_at, target.secrets[1].expires_at, "they end together");
    let live = public_keys(&mut world.connection, id).await.unwrap();
    assert_eq!(live[0], LivePublicKey { public_key: next_pair.public_key, expires_at: None });
    assert_eq!(live[1], LivePublicKey { public_key: given.public_key, expires_at: rotated.previous_expires_at });

    let last = keys(&world);
    rotate_secret_any_owner(&mut world.connection, id, last.clone(), Duration::ZERO).await.unwrap().unwrap();
    let target = loaded(&mut world, id).await;
    assert_eq!((target.secrets.len(), target.key_pairs.len()), (1, 1), "without overlap the previous ones are gone");
    assert_eq!(secret_ids(&target.key_pairs), [last.key_pair.unwrap().sealed.secret_id]);
    world.sql("UPDATE external_webhook_secrets SET sealed = 'x' WHERE kind = 'hmac'").await;
    delete(&mut world.connection, &acme(), id).await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM external_webhook_secrets").await, 0);
}

#[tokio::test]
async fn a_created_subscription_brings_its_key_pair() {
    let mut world = World::new().await;
    let keys = NewSealedKeys { secret: secret(&world), key_pair: Some(key_pair(&world)) };
    let id: SubscriptionId = world.clock.fresh_id();
    let new =
        new(json!({"url": "https://a.example/", "events": ["*"], "signature_schemes": ["standard-webhooks-v1a"]}));
    create(&mut world.connection, &acme(), id, &new, keys.clone()).await.unwrap();
    let target = loaded(&mut world, id).await;
    assert_eq!(secret_ids(&target.secrets), [keys.secret.secret_id]);
    assert_eq!(secret_ids(&target.key_pairs), [keys.key_pair.unwrap().sealed.secret_id]);
}

fn count(webhook_id: SubscriptionId, secret_id: SecretId) -> RotationCount {
    RotationCount {
        webhook_id,
        secret_id,
        sent_with_both: 0,
        verified_with_current: 0,
        verified_with_previous: 0,
        confirmed: false,
    }
}

#[tokio::test]
async fn a_rotation_is_metered_while_its_overlap_is_on() {
    let mut world = World::new().await;
    let (subscription, first) = made(&mut world, &acme()).await;
    let (id, hour) = (subscription.webhook_id, Duration::from_secs(3600));
    assert_eq!(rotation(&mut world.connection, id).await.unwrap(), None);
    let second = secret(&world);
    let rotated = rotate_secret(&mut world.connection, &acme(), id, second.clone(), hour).await.unwrap().unwrap();
    let silent = rotation(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!(Some(silent.previous_expires_at), rotated.previous_expires_at);
    assert_eq!((silent.sent_with_both, silent.still_on_previous(), silent.confirmed_at), (0, None, None));

    let told = RotationCount { sent_with_both: 5, verified_with_previous: 2, ..count(id, second.secret_id) };
    let of_another = RotationCount { sent_with_both: 100, confirmed: true, ..count(id, first.secret_id) };
    let of_nobody = RotationCount { sent_with_both: 100, ..count(SubscriptionId::floor(0), second.secret_id) };
    count_rotations(&mut world.connection, &[told, of_another, of_nobody]).await.unwrap();
    let after = rotation(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!((after.sent_with_both, after.verified_with_previous, after.verified_with_current), (5, 2, 0));
    assert_eq!((after.still_on_previous(), after.confirmed_at), (Some(true), None));

    let confirmed = RotationCount { confirmed: true, ..count(id, second.secret_id) };
    count_rotations(&mut world.connection, &[confirmed]).await.unwrap();
    let after = rotation(&mut world.connection, id).await.unwrap().unwrap();
    assert!(after.confirmed_at.is_some() && after.last_verified_with_current_at.is_none());
    let switched = RotationCount { sent_with_both: 1, verified_with_current: 1, ..count(id, second.secret_id) };
    count_rotations(&mut world.connection, &[switched]).await.unwrap();
    let last = rotation(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!((last.sent_with_both, last.verified_with_current), (6, 1));
    assert_eq!(
        (last.still_on_previous(), last.confirmed_at),
        (Some(false), after.confirmed_at),
        "the first time stays"
    );

    let third = secret(&world);
    rotate_secret(&mut world.connection, &acme(), id, third, hour).await.unwrap().unwrap();
    let fresh = rotation(&mut world.connection, id).await.unwrap().unwrap();
    assert_eq!((fresh.sent_with_both, fresh.confirmed_at, fresh.still_on_previous()), (0, None, None), "a new meter");
    world.sql("UPDATE external_webhook_rotations SET previous_expires_at = now()").await;
    assert_eq!(rotation(&mut world.connection, id).await.unwrap(), None, "its overlap is over");
    let fourth = secret(&world);
    rotate_secret(&mut world.connection, &acme(), id, fourth, hour).await.unwrap().unwrap();
    let fifth = secret(&world);
    rotate_secret(&mut world.connection, &acme(), id, fifth, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(rotation(&mut world.connection, id).await.unwrap(), None, "there is no overlap");
}

#[tokio::test]
async fn loaded_with_the_partners_state_and_apart_from_spoilt_ones() {
    let mut world = World::new().await;
    let (good, _) = made(&mut world, &acme()).await;
    let (bad, _) = made(&mut world, &acme()).await;
    let spoil = format!("UPDATE external_webhooks SET url = 'x' WHERE webhook_id = '{}'", bad.webhook_id.uuid());
    world.sql(&spoil).await;
    partners::disable(&mut world.connection, &acme()).await.unwrap();
    let asked = [good.webhook_id, bad.webhook_id, SubscriptionId::floor(0)];
    let loaded = load_for_delivery(&mut world.connection, &asked).await.unwrap();
    assert_eq!(loaded.len(), 2);
    for loaded in loaded {
        match loaded.target {
            Ok(target) => {
                assert_eq!(target.subscription, good);
                assert_eq!((target.partner_active, target.partner_canary), (false, false));
            }
            Err(error) => {
                assert_eq!(loaded.webhook_id, bad.webhook_id);
                assert!(matches!(error, StoreError::Row { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn the_sealed_bytes_are_not_shown() {
    let world = World::new().await;
    let secret = NewSealedSecret { sealed: vec![77; 32], ..secret(&world) };
    let shown = format!("{secret:?}");
    // Two in a row: the random id beside them may well have a 77 of its own.
    assert!(!shown.contains("77, 77") && !shown.contains("4d4d"), "{shown}");
}

#[tokio::test]
async fn the_workers_question_uses_indexes() {
    let mut world = World::new().await;
    let statement = load_for_delivery::Load { webhook_ids: vec![SubscriptionId::floor(0).uuid()] };
    let plan = plan(&mut world.connection, statement).await;
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
