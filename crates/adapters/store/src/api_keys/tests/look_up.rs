use chrono::TimeDelta;
use diesel_async::RunQueryDsl;

use super::*;
use crate::blocklist::{self, BlockTarget, NewBlock};
use crate::monitoring_reads::plan::plan;
use crate::{StoreError, partners};

fn block(world: &World, key: KeyId) -> NewBlock {
    NewBlock {
        block_id: world.clock.fresh_id(),
        target: BlockTarget::Key(key),
        reason: "leaked".to_owned(),
        expires_at: None,
        created_by: "op".to_owned(),
    }
}

#[tokio::test]
async fn many_digests_are_answered_at_once_and_unknown_ones_are_absent() {
    let mut world = World::new().await;
    let mut known = Vec::new();
    for _ in 0..3 {
        let key = new_key(&world);
        known.push((made(&mut world, &key).await.1, key.key_id));
    }
    let unknown = TokenDigest::from_bytes([7; 32]);
    let asked: Vec<_> = known.iter().map(|(digest, _)| *digest).chain([unknown]).collect();
    let mut found: Vec<_> = find_by_digests(&mut world.connection, &asked)
        .await
        .unwrap()
        .into_iter()
        .map(|found| (found.digest, found.record.unwrap().key_id))
        .collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
    assert!(find_by_digests(&mut world.connection, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_partner_and_the_blocklist_are_told_with_the_key() {
    let mut world = World::new().await;
    let key = new_key(&world);
    let (_, digest) = made(&mut world, &key).await;
    let record = found(&mut world, digest).await.unwrap();
    assert_eq!((record.partner_active, record.partner_canary, record.blocked), (true, false, false));

    partners::disable(&mut world.connection, &key.owner_id).await.unwrap();
    let canary = partners::PartnerChange { canary: Some(true), ..Default::default() };
    partners::update(&mut world.connection, &key.owner_id, &canary).await.unwrap();
    let (over, lasting) = (block(&world, key.key_id), block(&world, key.key_id));
    let over = NewBlock { expires_at: Some(world.clock.now() - TimeDelta::seconds(1)), ..over };
    blocklist::add(&mut world.connection, over).await.unwrap();
    let record = found(&mut world, digest).await.unwrap();
    assert_eq!((record.partner_active, record.partner_canary, record.blocked), (false, true, false));

    blocklist::add(&mut world.connection, lasting.clone()).await.unwrap();
    assert!(found(&mut world, digest).await.unwrap().blocked);
    assert!(get(&mut world.connection, key.key_id).await.unwrap().unwrap().blocked);
    blocklist::remove(&mut world.connection, lasting.block_id).await.unwrap();
    assert!(!found(&mut world, digest).await.unwrap().blocked);
}

#[tokio::test]
async fn a_spoilt_key_does_not_take_the_others_down() {
    let mut world = World::new().await;
    let (good, bad) = (new_key(&world), new_key(&world));
    let (_, good_digest) = made(&mut world, &good).await;
    let (_, bad_digest) = made(&mut world, &bad).await;
    let spoil = format!("UPDATE external_api_keys SET ip_allowlist = '{{x}}' WHERE key_id = '{}'", bad.key_id.uuid());
    world.sql(&spoil).await;
    let found = find_by_digests(&mut world.connection, &[good_digest, bad_digest]).await.unwrap();
    for found in found {
        match found.record {
            Ok(record) => assert_eq!((found.digest, record.key_id), (good_digest, good.key_id)),
            Err(error) => {
                assert_eq!(found.digest, bad_digest);
                assert!(matches!(error, StoreError::Row { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn the_look_up_uses_indexes() {
    let mut world = World::new().await;
    let statement = || find_by_digests::FindByDigests { digests: vec![vec![0; 32], vec![1; 32]] };
    let plan = plan(&mut world.connection, statement()).await;
    assert!(plan.contains("external_api_key_secrets_digest_key"), "{plan}");
    for table in ["external_api_keys", "external_api_key_secrets", "external_api_blocklist", "partners"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
    // It is prepared once and planned for any number of digests: Postgres tries five plans of their own first.
    world.sql("RESET enable_seqscan").await;
    for digests in 1..=9 {
        let statement = find_by_digests::FindByDigests { digests: vec![vec![0; 32]; digests] };
        statement.execute(&mut world.connection).await.unwrap();
    }
    let prepared = "SELECT count(*) FROM pg_prepared_statements \
                    WHERE ltrim(statement, E'\\n ') LIKE 'SELECT s.digest%' AND generic_plans >= 4";
    assert_eq!(world.number(prepared).await, 1);
}
