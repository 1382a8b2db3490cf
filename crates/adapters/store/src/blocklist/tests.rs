use chrono::TimeDelta;

use super::*;
use crate::testing::World;

fn addresses_block(world: &World, cidr: &str, expires_at: Option<DateTime<Utc>>) -> NewBlock {
    NewBlock {
        block_id: world.clock.fresh_id(),
        target: BlockTarget::Addresses(cidr.parse().unwrap()),
        reason: "scraping".to_owned(),
        expires_at,
        created_by: "op".to_owned(),
    }
}

#[tokio::test]
async fn added_listed_and_removed() {
    let mut world = World::new().await;
    let soon = world.clock.now() + TimeDelta::hours(1);
    let past = world.clock.now() - TimeDelta::hours(1);
    let for_good = addresses_block(&world, "203.0.113.0/24", None);
    let for_a_time = addresses_block(&world, "2001:db8::/32", Some(soon));
    let over = addresses_block(&world, "198.51.100.7/32", Some(past));
    let conn = &mut world.connection;
    for block in [&for_good, &for_a_time, &over] {
        assert_eq!(add(conn, block.clone()).await.unwrap().block, *block);
    }

    let ids = |blocks: Vec<Block>| blocks.into_iter().map(|block| block.block.block_id).collect::<Vec<_>>();
    assert_eq!(ids(list(conn, false, None, 10).await.unwrap()), [for_a_time.block_id, for_good.block_id]);
    let all = ids(list(conn, true, None, 2).await.unwrap());
    assert_eq!(all, [over.block_id, for_a_time.block_id]);
    assert_eq!(ids(list(conn, true, Some(all[1]), 2).await.unwrap()), [for_good.block_id]);

    let expected = [("203.0.113.0/24", None), ("2001:db8::/32", Some(soon))]
        .map(|(cidr, until)| BlockedAddresses { addresses: cidr.parse().unwrap(), until });
    assert_eq!(active_cidrs(conn).await.unwrap(), expected);

    assert_eq!(remove(conn, for_good.block_id).await.unwrap().unwrap().block, for_good);
    assert_eq!(remove(conn, for_good.block_id).await.unwrap(), None);
    assert_eq!(active_cidrs(conn).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_not_there_cannot_be_blocked() {
    let mut world = World::new().await;
    let target = BlockTarget::Key(world.clock.fresh_id());
    let block = NewBlock { target, ..addresses_block(&world, "203.0.113.0/24", None) };
    let refused = add(&mut world.connection, block).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_entry_that_is_no_block_is_an_error_and_not_left_out() {
    let mut world = World::new().await;
    let id = world.clock.fresh_id::<BlockId>().uuid();
    world
        .sql(&format!(
            "INSERT INTO external_api_blocklist (block_id, kind, cidr, created_by) VALUES ('{id}', 'cidr', 'x', 'op')"
        ))
        .await;
    let refused = active_cidrs(&mut world.connection).await;
    assert!(matches!(refused, Err(StoreError::Row { .. })), "{refused:?}");
}
