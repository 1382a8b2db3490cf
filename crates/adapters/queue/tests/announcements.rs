//! Announcements on a real Redis: everybody hears them, and whoever may have missed some is told so.

mod support;

use onering_ids::SubscriptionId;
use onering_queue::{Announcement, Queue, QueueError};
use onering_testkit::TcpProxy;
use tokio::time::{Duration, timeout};

use support::{queue, raw, send, soon};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_listener_hears_what_is_announced() {
    let redis = onering_testkit::redis().await;
    let queue = queue(&redis.url());
    let mut listeners = [queue.announcements(), queue.announcements()];
    for listener in &mut listeners {
        assert_eq!(listener.next().await, Announcement::Reconnected, "the beginning counts as a gap");
    }
    let told = [Announcement::Keys, Announcement::Subscription(SubscriptionId::floor(7)), Announcement::Flags];
    let mut behind = raw(&redis.url()).await;
    let _: i64 = send(&mut behind, "PUBLISH onering:announce word-of-a-later-version").await;
    for announcement in &told {
        queue.announcer().announce(announcement).await.unwrap();
    }
    for listener in &mut listeners {
        for announcement in &told {
            assert_eq!(timeout(SOON, listener.next()).await.unwrap(), *announcement);
        }
    }
}

#[tokio::test]
async fn a_listener_that_was_cut_off_says_so_and_goes_on() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let (here, there) = (queue(&network.url(&redis.url())), queue(&redis.url()));
    let mut behind = raw(&redis.url()).await;
    let mut listener = here.announcements();
    for n in 0..3 {
        assert_eq!(timeout(SOON, listener.next()).await.unwrap(), Announcement::Reconnected);
        there.announcer().announce(&Announcement::Blocklist).await.unwrap();
        assert_eq!(timeout(SOON, listener.next()).await.unwrap(), Announcement::Blocklist, "round {n}");
        network.cut();
        soon("the listener is cut off", async || {
            let (_, listeners): (String, u64) = send(&mut behind, "PUBSUB NUMSUB onering:announce").await;
            listeners == 0
        })
        .await;
        there.announcer().announce(&Announcement::Keys).await.unwrap();
        network.restore();
    }
}

#[tokio::test]
async fn a_connection_that_only_falls_silent_is_noticed() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let mut listener = queue(&network.url(&redis.url())).announcements();
    assert_eq!(listener.next().await, Announcement::Reconnected);
    network.pause();
    let connections = network.open_connections();
    tokio::select! {
        heard = listener.next() => panic!("{heard:?} came through a paused network"),
        () = soon("it tries a new connection", async || network.open_connections() > connections) => {}
    }
    network.restore();
    assert_eq!(timeout(SOON, listener.next()).await.unwrap(), Announcement::Reconnected);
}

#[tokio::test]
async fn a_useless_address_is_refused_and_a_dead_one_is_an_error() {
    let clock = onering_clock::Clock::system();
    assert!(matches!(Queue::connect_to("http://localhost", clock.clone()), Err(QueueError::Address { .. })));
    // Port 1 is never Redis.
    let queue = Queue::connect_to("redis://127.0.0.1:1/", clock).unwrap();
    assert!(matches!(queue.ping().await, Err(QueueError::Ping { .. })));
    let told = queue.announcer().announce(&Announcement::Flags).await;
    assert!(matches!(told, Err(QueueError::Announce { .. })));
}
