//! [`Announcer`] tells all processes of changes; [`Announcements`] hears them.
//!
//! Redis forgets an announcement the moment it is sent: who is not listening misses it. Therefore a listener that had to
//! connect again says so ([`Announcement::Reconnected`]), upon which caches drop everything, and caches expire by
//! themselves beneath that.

use std::pin::Pin;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::{PubSubSink, PubSubStream};
use deadpool_redis::redis::{Client, RedisResult, Value, cmd};
use futures_util::{Stream, StreamExt, stream};
use onering_clock::Clock;
use tokio::time::{sleep, timeout};

use crate::announcement::Announcement;
use crate::error::{Fault, QueueError};
use crate::link::CONNECT_TIMEOUT;
use crate::names::ANNOUNCEMENTS;
use crate::pooled::Pooled;

/// How often a silent connection is asked whether it still lives. With the time allowed for the answer this bounds how
/// long a listener can be deaf without knowing.
const PING_EVERY: Duration = Duration::from_millis(500);

/// How long Redis may take to answer on the listening connection.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// The first and the longest pause between attempts to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The telling side.
#[derive(Clone)]
pub struct Announcer {
    pooled: Pooled,
}

impl Announcer {
    pub(crate) fn new(pooled: Pooled) -> Self {
        Self { pooled }
    }

    /// Tells every process. Call it after the change is committed, never before: a listener reads at once.
    ///
    /// # Errors
    /// [`QueueError::Announce`]. The change holds all the same; caches notice it when they expire.
    pub async fn announce(&self, announcement: &Announcement) -> Result<(), QueueError> {
        let mut command = cmd("PUBLISH");
        command.arg(ANNOUNCEMENTS).arg(announcement.to_string());
        let told: Result<Value, Fault> = self.pooled.query(command).await;
        told.map(drop).map_err(|source| QueueError::Announce { source })
    }
}

/// The hearing side: one connection, kept up for as long as this lives.
pub struct Announcements {
    client: Client,
    clock: Clock,
    ears: Option<Ears>,
    pause: Duration,
}

struct Ears {
    sink: PubSubSink,
    messages: PubSubStream,
    /// When something was last heard, be it only the answer to a ping.
    heard_at: Instant,
}

impl Announcements {
    pub(crate) fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, ears: None, pause: Duration::ZERO }
    }

    /// Waits for the next announcement, for ever if need be; while Redis is away it keeps trying to come back. The
    /// first one is always [`Announcement::Reconnected`]: from then on nothing is missed unannounced. May be dropped at
    /// any point and called again.
    pub async fn next(&mut self) -> Announcement {
        loop {
            let Some(ears) = &mut self.ears else {
                if self.connect().await {
                    return Announcement::Reconnected;
                }
                continue;
            };
            match ears.listen(&self.clock).await {
                Some(announcement) => return announcement,
                None => {
                    tracing::warn!("the announcements' connection was lost; connecting again");
                    self.ears = None;
                }
            }
        }
    }

    /// The same as an endless stream.
    pub fn into_stream(self) -> impl Stream<Item = Announcement> + Send {
        stream::unfold(self, |mut announcements| async move { Some((announcements.next().await, announcements)) })
    }

    async fn connect(&mut self) -> bool {
        sleep(self.pause).await;
        match timeout(CONNECT_TIMEOUT, Ears::open(&self.client, &self.clock)).await {
            Ok(Ok(ears)) => {
                self.ears = Some(ears);
                self.pause = Duration::ZERO;
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "listening for announcements failed");
                self.back_off()
            }
            Err(_) => self.back_off(),
        }
    }

    fn back_off(&mut self) -> bool {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        false
    }
}

impl Ears {
    async fn open(client: &Client, clock: &Clock) -> RedisResult<Self> {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(ANNOUNCEMENTS).await?;
        let (sink, messages) = connection.split();
        Ok(Self { sink, messages, heard_at: clock.monotonic() })
    }

    /// The next announcement; `None` when the connection is dead.
    async fn listen(&mut self, clock: &Clock) -> Option<Announcement> {
        loop {
            let silence = clock.monotonic().saturating_duration_since(self.heard_at);
            match timeout(PING_EVERY.saturating_sub(silence), self.messages.next()).await {
                Ok(message) => {
                    self.heard_at = clock.monotonic();
                    match message?.get_payload::<String>().map(|text| text.parse()) {
                        Ok(Ok(announcement)) => return Some(announcement),
                        _ => tracing::debug!("an announcement unknown to this version was passed over"),
                    }
                }
                Err(_) => {
                    let ping: Pin<Box<dyn Future<Output = RedisResult<Value>> + Send + '_>> =
                        Box::pin(self.sink.ping());
                    timeout(PING_TIMEOUT, ping).await.ok()?.ok()?;
                    self.heard_at = clock.monotonic();
                }
            }
        }
    }
}
