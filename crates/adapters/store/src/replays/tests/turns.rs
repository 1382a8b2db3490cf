//! Whose turn it is, what one turn does, and what is left of a turn that was cut off.

use super::*;

async fn lone_job(world: &mut World, originals: usize, per_second: u32) -> (Vec<DeliveryId>, ReplayJob) {
    world.subscription("acme", "*").await;
    let ids = finals(world, "acme", "a.b", Status::Dead, originals).await;
    let scope = scope(world, &[Status::Dead]);
    (ids, job_at(world, &scope, per_second).await)
}

/// As if the last step had been so long ago.
async fn rested(world: &mut World, time: &str) {
    world.sql(&format!("UPDATE replay_jobs SET rate_used_until = now() - interval '{time}'")).await;
}

#[tokio::test]
async fn a_step_makes_what_the_rate_allows() {
    let mut world = World::new().await;
    let (ids, made) = lone_job(&mut world, 12, 5).await;
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    world.sql("UPDATE replay_jobs SET rate_used_until = now() + interval '1 minute'").await;
    let none = step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
    assert_eq!((none.made, none.job.replayed, none.job.cursor), (0, 0, made.cursor));
    let mut replayed = 0;
    for expected in [5, 5, 2] {
        rested(&mut world, "1 hour").await;
        let stepped = step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
        replayed += u64::from(expected);
        assert_eq!((stepped.made, stepped.job.replayed), (expected, replayed), "a second's worth");
        let now = onering_delivery::DatabaseTime::from_utc(world.clock.now());
        assert!(stepped.job.pace.used_until <= now);
        assert_eq!(stepped.job.pace.rate, ReplayRate::try_from(5).unwrap());
    }
    assert_eq!(get(&mut world.connection, made.replay_id).await.unwrap().unwrap().state, ReplayState::Done);
    assert_eq!(repeated(&mut world).await, once(ids));
    assert_eq!(step(&mut world.connection, turn(made.replay_id)).await.unwrap(), None, "it is over");
}

#[tokio::test]
async fn one_worker_has_a_job_until_its_lease_is_over() {
    let mut world = World::new().await;
    let (ids, made) = lone_job(&mut world, 6, 3).await;
    let unleased = step(&mut world.connection, turn(made.replay_id)).await.unwrap();
    assert_eq!(unleased, None, "nobody took it");
    assert_eq!(lease(&mut world.connection, "w1", LEASE).await.unwrap(), [made.replay_id]);
    assert!(lease(&mut world.connection, "w2", LEASE).await.unwrap().is_empty());
    rested(&mut world, "1 hour").await;
    let first = step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
    assert_eq!((first.made, first.job.worker.as_deref()), (3, Some("w1")));
    let started = first.job.started_at;

    world.sql("UPDATE replay_jobs SET leased_until = now() - interval '1 second'").await;
    assert_eq!(lease(&mut world.connection, "w2", LEASE).await.unwrap(), [made.replay_id]);
    rested(&mut world, "1 hour").await;
    assert_eq!(step(&mut world.connection, turn(made.replay_id)).await.unwrap(), None, "it is another's now");
    let second = step(&mut world.connection, Turn { worker: "w2", ..turn(made.replay_id) }).await.unwrap().unwrap();
    assert_eq!((second.made, second.job.replayed, second.job.started_at), (3, 6, started));
    assert_eq!(repeated(&mut world).await, once(ids));

    release(&mut world.connection, "w1", made.replay_id).await.unwrap();
    assert!(lease(&mut world.connection, "w1", LEASE).await.unwrap().is_empty(), "it was not w1's to give");
    release(&mut world.connection, "w2", made.replay_id).await.unwrap();
    assert_eq!(lease(&mut world.connection, "w1", LEASE).await.unwrap(), [made.replay_id]);
}

#[tokio::test]
async fn a_step_renews_the_lease() {
    let mut world = World::new().await;
    let (_, made) = lone_job(&mut world, 1, 1).await;
    lease(&mut world.connection, "w1", Duration::from_secs(1)).await.unwrap();
    world.sql("UPDATE replay_jobs SET rate_used_until = now() + interval '1 minute'").await;
    let turn = Turn { lease: Duration::from_secs(3600), ..turn(made.replay_id) };
    step(&mut world.connection, turn).await.unwrap().unwrap();
    assert_eq!(
        world.number("SELECT count(*) FROM replay_jobs WHERE leased_until > now() + interval '50 minutes'").await,
        1
    );
}

/// What a worker had done of a step when it was killed is undone by Postgres, whole.
#[tokio::test]
async fn a_step_that_is_cut_off_leaves_nothing() {
    let mut world = World::new().await;
    let (ids, made) = lone_job(&mut world, 4, 100).await;
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    rested(&mut world, "1 hour").await;
    let cut: Result<(), StoreError> = transaction(&mut world.connection, async |connection| {
        let stepped = step(connection, turn(made.replay_id)).await?.unwrap();
        assert_eq!(stepped.made, 4);
        Err(StoreError::NotFound { what: "worker" })
    })
    .await;
    assert!(cut.is_err());
    let job = get(&mut world.connection, made.replay_id).await.unwrap().unwrap();
    assert_eq!((job.replayed, job.cursor, repeated(&mut world).await), (0, made.cursor, vec![]));
    let done = eventually(PATIENCE, "the replay is over", async || {
        let stepped = step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
        if stepped.job.state.is_over() { Ok(stepped.job) } else { Err("running") }
    })
    .await;
    assert_eq!(done.replayed, 4);
    assert_eq!(repeated(&mut world).await, once(ids));
}

/// Even two workers of one name, which the lease cannot tell apart, repeat nothing twice.
#[tokio::test]
async fn steps_beside_each_other_wait_for_each_other() {
    let mut world = World::new().await;
    let (ids, made) = lone_job(&mut world, 40, ReplayRate::MAX).await;
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    let mut other = world.another_connection().await;
    eventually(PATIENCE, "the replay is over", async || {
        let (one, two) =
            tokio::join!(step(&mut world.connection, turn(made.replay_id)), step(&mut other, turn(made.replay_id)));
        one.unwrap().is_none() && two.unwrap().is_none()
    })
    .await;
    assert_eq!(repeated(&mut world).await, once(ids));
    assert_eq!(get(&mut world.connection, made.replay_id).await.unwrap().unwrap().replayed, 40);
}

/// Neither step sees what the other makes before it is committed: they must not judge one original at once.
#[tokio::test]
async fn steps_of_two_jobs_never_repeat_an_original_twice() {
    for (one_of_all, other_of_all) in [(true, true), (false, false), (true, false), (false, true)] {
        let mut world = World::new().await;
        world.subscription("acme", "*").await;
        let ids = finals(&mut world, "acme", "a.b", Status::Dead, 20).await;
        let mut jobs = Vec::new();
        for of_all in [one_of_all, other_of_all] {
            let owner_id = (!of_all).then(|| "acme".parse().unwrap());
            let scope = ReplayScope { owner_id, ..scope(&world, &[Status::Dead]) };
            jobs.push(job(&mut world, &scope).await);
        }
        lease(&mut world.connection, "w1", LEASE).await.unwrap();
        let mut other = world.another_connection().await;
        rested(&mut world, "1 hour").await;
        // The first step is whole but not committed while the second comes.
        let mut waiting = None;
        let stepped: Result<u32, StoreError> = transaction(&mut world.connection, async |connection| {
            let made = step(connection, turn(jobs[0].replay_id)).await?.unwrap().made;
            let mut second = Box::pin(async { step(&mut other, turn(jobs[1].replay_id)).await });
            tokio::select! {
                stepped = &mut second => panic!("it did not wait: {stepped:?}"),
                () = crate::testing::somebody_waits_for_a_lock(connection) => {}
            }
            waiting = Some(second);
            Ok(made)
        })
        .await;
        assert_eq!(stepped.unwrap(), 20);
        let second = waiting.unwrap().await.unwrap().unwrap();
        assert_eq!((second.made, second.job.skips.still_waiting), (0, 20));
        assert_eq!(repeated(&mut world).await, once(ids));
    }
}

/// The gateway's clock, which made the original's id, may be ahead of the clock that makes the ids of repeats.
#[tokio::test]
async fn a_repeat_is_seen_whose_id_is_older_than_its_originals() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let ids = finals(&mut world, "acme", "a.b", Status::Dead, 1).await;
    let repeat = resent(&mut world, ids[0], Status::Pending).await;
    let earlier = format!(
        "UPDATE webhook_deliveries SET delivery_id = overlay(delivery_id::text placing \
             left(onering.uuid_floor(now() - interval '10 minutes')::text, 13) from 1)::uuid WHERE delivery_id = '{}'",
        repeat.uuid()
    );
    world.sql(&earlier).await;
    let scope = ReplayScope { to: world.clock.now() + TimeDelta::hours(1), ..scope(&world, &[Status::Dead]) };
    let made = job(&mut world, &scope).await;
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.replayed, done.skips.still_waiting), (0, 1));
}

#[tokio::test]
async fn a_cancelled_job_makes_nothing_any_more() {
    let mut world = World::new().await;
    let (ids, made) = lone_job(&mut world, 6, 2).await;
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    rested(&mut world, "1 hour").await;
    step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
    let changed = cancel(&mut world.connection, made.replay_id).await.unwrap().unwrap();
    assert_eq!((changed.before.state, changed.after.state), (ReplayState::Running, ReplayState::Cancelled));
    assert_eq!((changed.after.replayed, changed.after.left(), changed.after.worker), (2, 4, None));
    rested(&mut world, "1 hour").await;
    assert_eq!(step(&mut world.connection, turn(made.replay_id)).await.unwrap(), None);
    assert!(lease(&mut world.connection, "w2", LEASE).await.unwrap().is_empty());
    assert_eq!(repeated(&mut world).await, once(ids[..2].to_vec()));
    let again = cancel(&mut world.connection, made.replay_id).await.unwrap().unwrap();
    assert_eq!(again.before, again.after);
    let unknown = world.clock.fresh_id();
    assert_eq!(cancel(&mut world.connection, unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_that_cannot_go_on_says_why() {
    let mut world = World::new().await;
    let (_, made) = lone_job(&mut world, 1, 1).await;
    fail(&mut world.connection, "w1", made.replay_id, "not mine").await.unwrap();
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    fail(&mut world.connection, "w1", made.replay_id, "no\0partition").await.unwrap();
    let failed = get(&mut world.connection, made.replay_id).await.unwrap().unwrap();
    assert_eq!((failed.state, failed.failure.as_deref()), (ReplayState::Failed, Some("no\u{fffd}partition")));
    assert!(failed.finished_at.is_some());
    let listed = list(&mut world.connection, Some(ReplayState::Failed), None, 10).await.unwrap();
    assert_eq!(listed, [failed]);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_not_too_many_run() {
    let mut world = World::new().await;
    let scope = scope(&world, &[Status::Dead]);
    let mut ids = Vec::new();
    for _ in 0..MOST_RUNNING {
        ids.push(job(&mut world, &scope).await.replay_id);
    }
    let rate = ReplayRate::default();
    let new = NewReplay { replay_id: world.clock.fresh_id(), scope, rate, matched: 0, created_by: "ada".to_owned() };
    assert_eq!(create(&mut world.connection, &new).await.unwrap(), None);
    cancel(&mut world.connection, ids[0]).await.unwrap();
    assert!(create(&mut world.connection, &new).await.unwrap().is_some());
    ids.push(new.replay_id);
    ids.sort_unstable();
    ids.reverse();
    let listed = list(&mut world.connection, None, None, 2).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.replay_id).collect::<Vec<_>>(), ids[..2]);
    let rest = list(&mut world.connection, None, Some(ids[1]), 100).await.unwrap();
    assert_eq!(rest.iter().map(|job| job.replay_id).collect::<Vec<_>>(), ids[2..]);
}

/// The worker asks for the pause by the row's own bucket.
#[tokio::test]
async fn the_row_keeps_the_bucket() {
    let mut world = World::new().await;
    let (_, made) = lone_job(&mut world, 3, 10).await;
    lease(&mut world.connection, "w1", LEASE).await.unwrap();
    rested(&mut world, "100 ms").await;
    let stepped = step(&mut world.connection, turn(made.replay_id)).await.unwrap().unwrap();
    let read = get(&mut world.connection, made.replay_id).await.unwrap().unwrap();
    let ReplayPace { used_until, rate } = stepped.job.pace;
    assert_eq!(read.pace, ReplayPace { used_until, rate });
    assert!(used_until > made.pace.used_until);
}
