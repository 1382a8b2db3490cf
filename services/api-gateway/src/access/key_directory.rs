//! [`KeyDirectory`]: whose token is this? Answered from memory for some seconds, else by one shared look-up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::future::Cache;
use onering_clock::Clock;
use onering_keys::{KeyRecord, TokenDigest};
use onering_service_kit::{Tasks, error_chain};
use onering_store::api_keys::{FoundKey, find_by_digests};
use onering_store::{Pool, StoreError};
use onering_telemetry::field;
use onering_telemetry::metrics::Histogram;
use tokio::sync::{mpsc, oneshot};

/// How long an answer stands beneath the announcements, from when it was asked for: what has changed since is not in it, however
/// late it came.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// The most answers in memory.
const MOST_REMEMBERED: u64 = 100_000;
/// The most tokens one statement asks for.
const MOST_AT_ONCE: usize = 512;
/// How many may wait for the next look-up. Beyond it callers wait for a place.
const WAITING: usize = 8_192;
/// How long a look-up may take, waiting for a connection included.
const DEADLINE: Duration = Duration::from_secs(3);

/// A token's key, or `None` for a token that opens nothing.
pub(crate) type Found = Option<Arc<KeyRecord>>;

/// What a token opens, as of when it was looked up.
#[derive(Debug, Clone)]
pub(crate) struct LookedUp {
    /// Its key.
    pub(super) found: Found,
    /// When Postgres was asked.
    pub(super) asked_at: Instant,
}

impl LookedUp {
    fn stands(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.asked_at) < REMEMBERED_FOR
    }
}

/// The keys could not be looked up.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LookUpError {
    /// Postgres failed.
    #[error("keys cannot be looked up")]
    Store(#[source] Arc<StoreError>),
    /// Postgres was silent, or the process is on its way out.
    #[error("keys were not looked up in time")]
    Late,
}

/// The keys of this process. Cheap to clone; clones share the memory.
///
/// One look-up is under way at a time; requests with unknown tokens that arrive meanwhile share the next. An answer that was
/// being read while somebody announced a change is given to who waits for it and not remembered.
#[derive(Clone)]
pub(crate) struct KeyDirectory {
    /// Lets go of an answer some time after it stands no more: it counts from when it was put in.
    remembered: Cache<TokenDigest, LookedUp>,
    clock: Clock,
    asks: mpsc::Sender<Ask>,
    /// Counts announced changes.
    changes: Arc<AtomicU64>,
}

struct Ask {
    digest: TokenDigest,
    /// `None`: nobody waits, it is only to be fresh.
    reply: Option<oneshot::Sender<Result<LookedUp, LookUpError>>>,
}

impl KeyDirectory {
    /// Starts the task that looks keys up, on the calling runtime.
    pub(crate) fn start(pool: Pool, clock: Clock, tasks: &Tasks, batch_sizes: Histogram) -> Self {
        let remembered = Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(REMEMBERED_FOR).build();
        let changes = Arc::<AtomicU64>::default();
        let (asks, asked) = mpsc::channel(WAITING);
        let looker = Looker {
            pool,
            clock: clock.clone(),
            remembered: remembered.clone(),
            changes: Arc::clone(&changes),
            batch_sizes,
            asked: asked.into(),
        };
        let looker = Arc::new(looker);
        tasks.spawn("key_look_ups", move |stop| {
            let looker = Arc::clone(&looker);
            async move { stop.run_until_cancelled(looker.serve()).await.unwrap_or(()) }
        });
        Self { remembered, clock, asks, changes }
    }

    /// The key this token opens.
    ///
    /// # Errors
    /// When it is not in memory and Postgres does not answer.
    pub(crate) async fn find(&self, digest: TokenDigest) -> Result<LookedUp, LookUpError> {
        if let Some(known) = self.remembered.get(&digest).await
            && known.stands(self.clock.monotonic())
        {
            return Ok(known);
        }
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { digest, reply: Some(reply) }).await.map_err(|_| LookUpError::Late)?;
        answer.await.unwrap_or(Err(LookUpError::Late))
    }

    /// Has a token looked up again that is in use, so that nobody has to wait when its answer is too old. Where too many wait
    /// already it is left alone.
    pub(super) fn refresh(&self, digest: TokenDigest) {
        let _ = self.asks.try_send(Ask { digest, reply: None });
    }

    /// Forgets one token: somebody changed its key.
    ///
    /// It is counted before and after: who counted in between may have been given what is forgotten here.
    pub(crate) async fn forget(&self, digest: &TokenDigest) {
        self.count_change();
        self.remembered.invalidate(digest).await;
        self.count_change();
    }

    /// Forgets all tokens.
    pub(crate) fn forget_all(&self) {
        self.count_change();
        self.remembered.invalidate_all();
        self.count_change();
    }

    /// How many changes were announced. What was found before a change may be outdated after it.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a look-up found; a key whose row is not understood fails for its own callers only.
type Rows = HashMap<TokenDigest, Result<Arc<KeyRecord>, LookUpError>>;

/// The task behind a directory.
struct Looker {
    pool: Pool,
    clock: Clock,
    remembered: Cache<TokenDigest, LookedUp>,
    changes: Arc<AtomicU64>,
    batch_sizes: Histogram,
    /// Locked by the one run of the task that there is at a time.
    asked: tokio::sync::Mutex<mpsc::Receiver<Ask>>,
}

impl Looker {
    async fn serve(&self) {
        let mut asked = self.asked.lock().await;
        let mut waiting = Vec::new();
        while asked.recv_many(&mut waiting, MOST_AT_ONCE).await > 0 {
            self.batch_sizes.observe_value(waiting.len() as f64);
            let mut digests: Vec<TokenDigest> = waiting.iter().map(|ask| ask.digest).collect();
            digests.sort_unstable();
            digests.dedup();
            let (changes, asked_at) = (self.changes.load(Ordering::SeqCst), self.clock.monotonic());
            let rows = self.look_up(&digests).await;
            let answer_for = |digest: &TokenDigest| answer_for(digest, &rows).map(|found| LookedUp { found, asked_at });
            for digest in &digests {
                if let Ok(known) = answer_for(digest) {
                    self.remember(*digest, known, changes).await;
                }
            }
            for Ask { digest, reply } in waiting.drain(..) {
                if let Some(reply) = reply {
                    // Whoever went away meanwhile needs no answer.
                    let _ = reply.send(answer_for(&digest));
                }
            }
        }
    }

    async fn look_up(&self, digests: &[TokenDigest]) -> Result<Rows, LookUpError> {
        let asking = async {
            let mut connection = self.pool.get().await?;
            find_by_digests(&mut connection, digests).await
        };
        let rows = match tokio::time::timeout(DEADLINE, asking).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                tracing::warn!({ field::ERROR } = error_chain(&error), "keys cannot be looked up");
                return Err(LookUpError::Store(Arc::new(error)));
            }
            Err(_) => {
                tracing::warn!("keys were not looked up in time");
                return Err(LookUpError::Late);
            }
        };
        let row = |row: FoundKey| {
            let record = row.record.map(Arc::new).map_err(|error| {
                tracing::error!({ field::ERROR } = error_chain(&error), "a key is not understood");
                LookUpError::Store(Arc::new(error))
            });
            (row.digest, record)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Remembers an answer unless a change was announced since it was asked for.
    async fn remember(&self, digest: TokenDigest, known: LookedUp, changes: u64) {
        if self.changes.load(Ordering::SeqCst) != changes {
            return;
        }
        self.remembered.insert(digest, known).await;
        // The change may have come between the look and the insertion.
        if self.changes.load(Ordering::SeqCst) != changes {
            self.remembered.invalidate(&digest).await;
        }
    }
}

fn answer_for(digest: &TokenDigest, found: &Result<Rows, LookUpError>) -> Result<Found, LookUpError> {
    found.as_ref().map_err(Clone::clone)?.get(digest).cloned().transpose()
}

#[cfg(test)]
mod tests {
    use onering_service_kit::Tasks;
    use onering_store::{PoolConfig, migrate};
    use onering_telemetry::Metrics;
    use onering_testkit::{Template, TestDatabase, postgres_from};

    use super::*;
    use crate::metrics::GatewayMetrics;

    async fn database() -> TestDatabase {
        let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        let prepare = |url: String| async move { migrate::migrate(&PoolConfig::new(&url)?).await.map(drop) };
        postgres_from(&template, prepare).await
    }

    #[test]
    fn an_answer_stands_for_its_time_from_when_it_was_asked_for() {
        let asked_at = Clock::system().monotonic();
        let answer = LookedUp { found: None, asked_at };
        assert!(answer.stands(asked_at) && answer.stands(asked_at + REMEMBERED_FOR - Duration::from_nanos(1)));
        assert!(!answer.stands(asked_at + REMEMBERED_FOR));
    }

    /// The memory's own clock goes on as ever here; the process's is moved.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_is_too_old_when_it_was_asked_for_too_long_ago() {
        let database = database().await;
        let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
        let metrics = Metrics::new(onering_settings::Service::ApiGateway).unwrap();
        let tasks = Tasks::new(clock.clone(), &metrics).unwrap();
        let sizes = GatewayMetrics::declare(&metrics).unwrap().key_look_up_sizes;
        let pool = Pool::new(&PoolConfig::new(database.url()).unwrap()).unwrap();
        let directory = KeyDirectory::start(pool.clone(), clock.clone(), &tasks, sizes);
        let digest = TokenDigest::from_bytes([7; 32]);

        let first = directory.find(digest).await.unwrap().asked_at;
        assert_eq!(first, clock.monotonic());
        clock.advance(REMEMBERED_FOR);
        assert_eq!(directory.find(digest).await.unwrap().asked_at, clock.monotonic(), "it was not asked for again");

        assert!(tasks.finish(Duration::from_secs(30)).await);
        pool.close();
    }
}
