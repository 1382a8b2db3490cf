//! The stream on a real Redis: what is pushed is read, nothing taken is lost, and a lost stream is made again.

#![allow(clippy::unwrap_used, reason = "these are tests, although not all in test functions")]

mod support;

use std::time::Duration;

use deadpool_redis::redis::pipe;
use onering_queue::{Batch, Consumer, DeliveryStream, EntryId, PACK_LIMIT, STREAM_BOUND, StreamEntry};
use onering_testkit::TcpProxy;

use support::{entry, queue, raw, send, soon};

const BLOCK: Duration = Duration::from_millis(200);

fn read_entries(batch: &Batch) -> Vec<StreamEntry> {
    batch.packs.iter().flat_map(|(_, deliveries)| deliveries.clone()).collect()
}

fn ids(batch: &Batch) -> Vec<EntryId> {
    batch.packs.iter().map(|(id, _)| *id).collect()
}

/// Pushes each by itself, as a gateway with little to do.
async fn push_each(stream: &DeliveryStream, numbers: std::ops::Range<u64>) {
    for number in numbers {
        stream.push(&[entry(number)]).await.unwrap();
    }
}

/// Reads until so many deliveries have come.
async fn read_all(consumer: &mut Consumer, count: usize) -> Batch {
    let mut all = Batch::default();
    soon("the entries arrive", async || {
        if let Ok(batch) = consumer.read(100, BLOCK).await {
            all.packs.extend(batch.packs);
            all.garbled += batch.garbled;
        }
        read_entries(&all).len() >= count
    })
    .await;
    all
}

#[tokio::test]
async fn what_is_pushed_is_read_in_order_and_acknowledging_removes_it() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let stream = queue.deliveries();
    let entries: Vec<_> = (0..600).map(entry).collect();
    let report = stream.push(&entries).await.unwrap();
    assert_eq!((report.pushed, report.stream_len, report.waiting), (600, 600, 600));
    let mut consumer = queue.consumer("one");
    let batch = read_all(&mut consumer, 600).await;
    assert_eq!(read_entries(&batch), entries);
    let packs = 600_usize.div_ceil(PACK_LIMIT);
    assert_eq!(batch.packs.len(), packs, "what came at once travels together");
    assert_eq!(stream.len().await.unwrap(), packs as u64, "what is taken stays until it is acknowledged");
    assert_eq!(stream.waiting().await.unwrap(), 0, "but it does not wait any more");
    let report = stream.push(&entries[..7]).await.unwrap();
    assert_eq!((report.stream_len, report.waiting), (607, 7));
    let seven = read_all(&mut consumer, 7).await;
    assert_eq!(seven.packs.len(), 1);
    stream.ack(&[ids(&batch), ids(&seven)].concat()).await.unwrap();
    assert!(stream.is_empty().await.unwrap());
    stream.ack(&[]).await.unwrap();
    assert_eq!(stream.push(&[]).await.unwrap().pushed, 0);
}

/// Gateways of this release and the one before run side by side during a rollout. What the latter writes is what a delivery
/// alone is written as: `onering_queue` holds that in a test of its own.
#[tokio::test]
async fn entries_of_one_and_of_many_are_read_alike() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let stream = queue.deliveries();
    let entries: Vec<_> = (0..9).map(entry).collect();
    for pushed in [&entries[..1], &entries[1..4], &entries[4..5], &entries[5..]] {
        stream.push(pushed).await.unwrap();
    }
    let batch = read_all(&mut queue.consumer("one"), 9).await;
    assert_eq!(read_entries(&batch), entries);
    assert_eq!(batch.packs.iter().map(|(_, pack)| pack.len()).collect::<Vec<_>>(), [1, 3, 1, 4]);
}

/// Whoever pushes hears what waits, in time to leave it at that: also what others pushed, and also after Redis forgot the script.
#[tokio::test]
async fn what_waits_is_counted_in_deliveries_whoever_pushed() {
    let redis = onering_testkit::redis().await;
    let (one, other) = (queue(&redis.url()), queue(&redis.url()));
    let many: Vec<_> = (0..1_600).map(entry).collect();
    assert_eq!(one.deliveries().push(&many).await.unwrap().waiting, 1_600);
    let mut behind = raw(&redis.url()).await;
    let () = send(&mut behind, "SCRIPT FLUSH").await;
    assert_eq!(other.deliveries().push(&many).await.unwrap().waiting, 3_200);
    let () = send(&mut behind, "SCRIPT FLUSH").await;
    assert_eq!(one.deliveries().waiting().await.unwrap(), 3_200);
    let taken = other.consumer("one").read(60, BLOCK).await.unwrap();
    assert_eq!(taken.packs.len(), 60);
    assert_eq!(one.deliveries().push(&many[..32]).await.unwrap().waiting, 41 * 32, "with much waiting each push asks");
}

#[tokio::test]
async fn redis_counts_what_it_is_asked() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let before = queue.server_counters().await.unwrap();
    queue.deliveries().push(&(0..1_024).map(entry).collect::<Vec<_>>()).await.unwrap();
    let after = queue.server_counters().await.unwrap();
    let spent = after.commands - before.commands;
    assert!((32 + 3..100).contains(&spent), "32 entries, a script, what it calls: {before:?} {after:?}");
    assert_eq!(after.commands_of_scripts, before.commands_of_scripts + 2, "the length, and that of the group");
}

#[tokio::test]
async fn only_the_database_of_the_url_is_forgotten() {
    let redis = onering_testkit::redis().await;
    let (first, second) = (queue(&redis.url()), queue(&format!("{}1", redis.url())));
    for queue in [&first, &second] {
        queue.deliveries().push(&[entry(1)]).await.unwrap();
    }
    first.forget_everything().await.unwrap();
    assert!(first.deliveries().is_empty().await.unwrap());
    assert_eq!(second.deliveries().len().await.unwrap(), 1);
}

#[tokio::test]
async fn two_consumers_never_take_the_same_entry() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let mut consumers = [queue.consumer("one"), queue.consumer("two")];
    push_each(&queue.deliveries(), 0..40).await;
    let mut seen = Vec::new();
    for turn in 0..4 {
        let batch = consumers[turn % 2].read(10, BLOCK).await.unwrap();
        assert_eq!(batch.packs.len(), 10);
        seen.extend(read_entries(&batch));
    }
    assert_eq!(seen, (0..40).map(entry).collect::<Vec<_>>());
}

#[tokio::test]
async fn waiting_longer_than_the_usual_response_timeout_is_no_error() {
    let redis = onering_testkit::redis().await;
    let mut consumer = queue(&redis.url()).consumer("patient");
    assert_eq!(consumer.read(1, Duration::from_millis(1_200)).await.unwrap(), Batch::default());
    assert_eq!(consumer.read(1, Duration::ZERO).await.unwrap(), Batch::default());
}

#[tokio::test]
async fn a_read_that_is_dropped_loses_nothing() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let mut consumer = queue.consumer("one");
    let mut behind = raw(&redis.url()).await;
    let block = Duration::from_secs(20);
    tokio::select! {
        biased;
        _ = consumer.read(10, block) => panic!("nothing was pushed"),
        () = soon("the read blocks", async || {
            let info: String = send(&mut behind, "INFO clients").await;
            info.contains("blocked_clients:1")
        }) => {}
    }
    queue.deliveries().push(&[entry(1)]).await.unwrap();
    assert_eq!(read_entries(&consumer.finish().await.unwrap()), [entry(1)]);
    assert_eq!(consumer.finish().await.unwrap(), Batch::default());
    queue.deliveries().push(&[entry(2)]).await.unwrap();
    assert_eq!(read_entries(&consumer.read(10, block).await.unwrap()), [entry(2)]);
}

#[tokio::test]
async fn entries_of_a_dead_worker_are_taken_over_once_idle() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    push_each(&queue.deliveries(), 0..5).await;
    assert_eq!(queue.consumer("dead").read(10, BLOCK).await.unwrap().packs.len(), 5);
    let mut heir = queue.consumer("heir");
    assert_eq!(heir.read(10, Duration::ZERO).await.unwrap(), Batch::default());
    assert_eq!(heir.claim_idle(Duration::from_secs(3600), 10).await.unwrap(), Batch::default());
    let mut inherited = Batch::default();
    for _ in 0..3 {
        inherited.packs.extend(heir.claim_idle(Duration::ZERO, 2).await.unwrap().packs);
    }
    assert_eq!(read_entries(&inherited), (0..5).map(entry).collect::<Vec<_>>());
    queue.deliveries().ack(&ids(&inherited)).await.unwrap();
    assert!(queue.deliveries().is_empty().await.unwrap());
}

#[tokio::test]
async fn garbage_is_counted_and_put_away() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let mut behind = raw(&redis.url()).await;
    let _: String = send(&mut behind, "XADD onering:deliveries * d nonsense").await;
    let _: String = send(&mut behind, "XADD onering:deliveries * d \u{2}\u{5}nonsense").await;
    let _: String = send(&mut behind, "XADD onering:deliveries * other field more fields").await;
    queue.deliveries().push(&[entry(1)]).await.unwrap();
    let batch = queue.consumer("one").read(10, BLOCK).await.unwrap();
    assert_eq!((read_entries(&batch), batch.garbled), (vec![entry(1)], 1 + 5 + 1), "a pack says how many it had");
    assert_eq!(queue.deliveries().len().await.unwrap(), 1, "only the good one stays");
}

#[tokio::test]
async fn a_flushed_redis_is_read_from_again() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let mut behind = raw(&redis.url()).await;
    let mut consumer = queue.consumer("one");
    assert_eq!(consumer.claim_idle(Duration::ZERO, 10).await.unwrap(), Batch::default());
    for n in 0..3 {
        // Once between reads, then in the middle of one.
        let () = send(&mut behind, "FLUSHALL").await;
        let flush_while_reading = async {
            soon("the read blocks", async || {
                let info: String = send(&mut behind, "INFO clients").await;
                info.contains("blocked_clients:1")
            })
            .await;
            let () = send(&mut behind, "FLUSHALL").await;
            queue.deliveries().push(&[entry(n)]).await.unwrap();
        };
        let ((), batch) = tokio::join!(flush_while_reading, read_all(&mut consumer, 1));
        assert_eq!(read_entries(&batch), [entry(n)]);
    }
}

#[tokio::test]
async fn a_full_stream_takes_no_more_until_it_is_read() {
    let redis = onering_testkit::redis().await;
    let stream = queue(&redis.url()).deliveries();
    let mut behind = raw(&redis.url()).await;
    let mut filling = pipe();
    for _ in 0..STREAM_BOUND {
        filling.cmd("XADD").arg("onering:deliveries").arg("*").arg("d").arg("x").ignore();
    }
    let () = filling.query_async(&mut behind).await.unwrap();
    let entries: Vec<_> = (0..2_000).map(entry).collect();
    let report = stream.push(&entries).await.unwrap();
    assert!(report.pushed < 2_000 && report.stream_len >= STREAM_BOUND, "{report:?}");
    let report = stream.push(&entries).await.unwrap();
    assert_eq!(report.pushed, 0);
    let () = send(&mut behind, "DEL onering:deliveries").await;
    let report = stream.push(&entries).await.unwrap();
    assert_eq!((report.pushed, report.stream_len, report.waiting), (2_000, 2_000, 2_000));
}

#[tokio::test]
async fn the_bound_counts_deliveries_not_packs() {
    let redis = onering_testkit::redis().await;
    let stream = queue(&redis.url()).deliveries();
    let entries: Vec<_> = (0..STREAM_BOUND + 5_000).map(entry).collect();
    let report = stream.push(&entries).await.unwrap();
    let round_trip = 1_024;
    assert!((STREAM_BOUND..STREAM_BOUND + round_trip).contains(&(report.pushed as u64)), "{report:?}");
    assert_eq!(stream.push(&entries).await.unwrap().pushed, 0);
    let held = stream.len().await.unwrap() * PACK_LIMIT as u64;
    assert_eq!((held, stream.waiting().await.unwrap()), (report.pushed as u64, report.pushed as u64));
}

#[tokio::test]
async fn departed_consumers_are_forgotten_unless_they_hold_something() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let stream = queue.deliveries();
    let mut behind = raw(&redis.url()).await;
    assert_eq!(stream.forget_idle_consumers(Duration::ZERO).await.unwrap(), 0, "without a stream");
    let () = send(&mut behind, "SET onering:other 1").await;
    push_each(&stream, 1..4).await;
    assert_eq!(stream.forget_idle_consumers(Duration::ZERO).await.unwrap(), 0, "without a group");
    let holder = queue.consumer("holder").read(1, BLOCK).await.unwrap();
    for name in ["gone", "left"] {
        let batch = queue.consumer(name).read(1, BLOCK).await.unwrap();
        stream.ack(&ids(&batch)).await.unwrap();
    }
    assert_eq!(stream.forget_idle_consumers(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(stream.forget_idle_consumers(Duration::ZERO).await.unwrap(), 2);
    stream.ack(&ids(&holder)).await.unwrap();
    assert_eq!(stream.forget_idle_consumers(Duration::ZERO).await.unwrap(), 1);
}

#[tokio::test]
async fn pushing_and_reading_survive_a_lost_redis() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let queue = queue(&network.url(&redis.url()));
    let stream = queue.deliveries();
    let mut consumer = queue.consumer("one");
    stream.push(&[entry(1)]).await.unwrap();
    read_all(&mut consumer, 1).await;
    for worsen in [TcpProxy::cut, TcpProxy::pause] {
        worsen(&network);
        assert!(stream.push(&[entry(2)]).await.is_err());
        assert!(queue.ping().await.is_err());
        let error = consumer.read(1, BLOCK).await.unwrap_err();
        assert!(error.to_string().contains("one"), "{error}");
        network.restore();
        soon("pushing works again", async || stream.push(&[entry(3)]).await.is_ok()).await;
        let batch = read_all(&mut consumer, 1).await;
        assert!(read_entries(&batch).contains(&entry(3)));
        queue.ping().await.unwrap();
    }
}

/// After a restart of Redis the first push must not be left to the sweep, nor the first take-over wait for the next.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nobody_his_command() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let queue = queue(&network.url(&redis.url()));
    let stream = queue.deliveries();
    let mut consumer = queue.consumer("one");
    stream.ensure_group().await.unwrap();
    assert_eq!(consumer.read(1, Duration::ZERO).await.unwrap(), Batch::default());
    for n in 1..=3 {
        network.reset_connections().await;
        assert_eq!(stream.push(&[entry(n)]).await.unwrap().pushed, 1);
        network.reset_connections().await;
        let batch = consumer.read(1, BLOCK).await.unwrap();
        assert_eq!(read_entries(&batch), [entry(n)]);
        network.reset_connections().await;
        consumer.claim_idle(Duration::from_secs(60), 1).await.unwrap();
        network.reset_connections().await;
        stream.ack(&ids(&batch)).await.unwrap();
    }
}

/// actix gives each of its workers a runtime of its own; a shared connection must not die with one of them.
#[tokio::test]
async fn the_shared_connections_outlive_the_runtimes_that_use_them() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    for n in 1..=3 {
        let queue = queue.clone();
        let worker = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                queue.deliveries().push(&[entry(n)]).await.unwrap();
                queue.ping().await.unwrap();
            });
        };
        tokio::task::spawn_blocking(worker).await.unwrap();
    }
    assert_eq!(queue.deliveries().len().await.unwrap(), 3);
}
