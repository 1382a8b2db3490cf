use chrono::TimeDelta;

use super::*;
use crate::testing::World;

fn hour() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

async fn key(world: &mut World) -> KeyId {
    let key: KeyId = world.clock.fresh_id();
    let insert = format!(
        "INSERT INTO external_api_keys (key_id, owner_user_id, name, scopes, rate_limit_tier, created_by) \
         VALUES ('{}', 'default', 'k', '{{}}', 'free', 'op')",
        key.uuid()
    );
    world.sql(&insert).await;
    key
}

#[tokio::test]
async fn counts_add_up_and_last_use_moves_forward_only() {
    let mut world = World::new().await;
    let (one, other) = (key(&mut world).await, key(&mut world).await);
    let gone: KeyId = world.clock.fresh_id();
    let used = hour() + TimeDelta::minutes(30);
    let delta =
        |key_id, admitted, refused, last_used_at| UsageDelta { key_id, hour: hour(), admitted, refused, last_used_at };
    let conn = &mut world.connection;
    // The same key and hour twice in one report, any instant of the hour, a key that was deleted meanwhile.
    let report = [
        delta(one, 3, 0, Some(used)),
        UsageDelta { hour: used, ..delta(one, 2, 1, Some(used - TimeDelta::minutes(5))) },
        delta(other, 0, 4, None),
        delta(gone, 7, 0, Some(used)),
    ];
    add(conn, &report).await.unwrap();
    add(conn, &[delta(one, 1, 0, Some(used - TimeDelta::minutes(10)))]).await.unwrap();
    add(conn, &[]).await.unwrap();

    let usage = of_keys(conn, &[one, other, gone], hour()).await.unwrap();
    let expected = [(one, 6, 1), (other, 0, 4), (gone, 7, 0)].map(|(key_id, admitted, refused)| KeyUsage {
        key_id,
        admitted,
        refused,
    });
    assert_eq!(usage, expected);
    assert_eq!(of_keys(conn, &[one], hour() + TimeDelta::hours(1)).await.unwrap(), []);
    let last_used = format!("SELECT last_used_at::text FROM external_api_keys WHERE key_id = '{}'", one.uuid());
    assert_eq!(world.text(&last_used).await.as_deref(), Some("2026-03-01 12:30:00+00"));
    let never = format!("SELECT last_used_at::text FROM external_api_keys WHERE key_id = '{}'", other.uuid());
    assert_eq!(world.text(&never).await, None);
}

#[tokio::test]
async fn reports_of_the_same_keys_in_opposite_order_do_not_lock_each_other_out() {
    let mut world = World::new().await;
    let mut deltas = Vec::new();
    for second in 0..40 {
        let key_id = key(&mut world).await;
        let last_used_at = Some(hour() + TimeDelta::seconds(second));
        deltas.push(UsageDelta { key_id, hour: hour(), admitted: 1, refused: 0, last_used_at });
    }
    let mut reports = Vec::new();
    for gateway in 0..4 {
        let mut conn = world.another_connection().await;
        let mut deltas = deltas.clone();
        if gateway % 2 == 1 {
            deltas.reverse();
        }
        reports.push(tokio::spawn(async move {
            for round in 0..25 {
                for delta in &mut deltas {
                    delta.last_used_at = delta.last_used_at.map(|at| at + TimeDelta::seconds(round));
                }
                add(&mut conn, &deltas).await.unwrap();
            }
        }));
    }
    for report in reports {
        report.await.unwrap();
    }
    assert_eq!(world.number("SELECT sum(admitted)::bigint FROM external_api_usage").await, 40 * 4 * 25);
}
