//! The tasks that write: what arrives while a commit is under way shares the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::HeldReason;
use onering_flags::FlagsHandle;
use onering_ids::OwnerId;
use onering_service_kit::{Tasks, error_chain};
use onering_store::StoreError;
use onering_store::idempotency::{self, Remembered};
use onering_store::ingest::{self, Accepted, IncomingEvent, Ingested, Terms};
use onering_store::pool::PoolConfig;
use onering_telemetry::field;
use onering_telemetry::metrics::{Counter, Histogram};
use tokio_util::sync::CancellationToken;

use super::database_line::{DatabaseLine, NoLine};
use super::prepared_event::{Claim, PreparedEvent};
use super::publisher::{NotAccepted, Publisher, Receipt, Submission};
use super::pusher::Pusher;
use super::queue::{Queue, Taken};

/// How long one statement may take before its connection is given up. Above the session's own limit, so that Postgres is
/// the first to give up where it still can.
const DEADLINE: Duration = Duration::from_secs(8);
/// The session's own limit for a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// What committers need.
#[derive(Clone)]
pub(crate) struct Committing {
    /// How to connect.
    pub(crate) database: PoolConfig,
    /// The clock of the process.
    pub(crate) clock: Clock,
    /// The switches: while delivery is off, deliveries are held.
    pub(crate) flags: FlagsHandle,
    /// How long the stream has to bring a delivery to a worker before the sweep does.
    pub(crate) lease: Duration,
    /// Where deliveries go after the commit.
    pub(crate) pusher: Pusher,
    /// How many events share a commit.
    pub(crate) batch_sizes: Histogram,
    /// How long a commit takes.
    pub(crate) commit_times: Histogram,
    /// Commits that failed.
    pub(crate) failures: Counter,
}

/// The most commits under way at once. Mostly there is one: see [`Queue::next`].
const LINES: usize = 4;

/// Starts the committers of the process on the calling runtime. Told to stop, they write what waits and end.
pub(crate) fn start_committers(committing: &Committing, tasks: &Tasks) -> Publisher {
    let queue = Arc::new(Queue::new());
    for _ in 0..LINES {
        let (committing, waiting) = (committing.clone(), Arc::clone(&queue));
        // A panic costs its batch, whose callers are told that it is not known to be written, and not the committer.
        tasks.spawn("ingest", move |stop| {
            let database = committing.database.clone().statement_timeout(STATEMENT_TIMEOUT);
            let line = DatabaseLine::new(database, committing.clock.clone());
            let (mut committer, queue) = (Committer { committing: committing.clone(), line }, Arc::clone(&waiting));
            async move { committer.serve(&queue, &stop).await }
        });
    }
    Publisher::new(queue)
}

struct Committer {
    committing: Committing,
    line: DatabaseLine,
}

/// Why a statement did not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    NoLine(#[from] NoLine),
    #[error("the statement failed")]
    Store(#[source] StoreError),
    #[error("Postgres did not answer in time")]
    Late,
}

impl Failure {
    /// Whether it says something about the connection rather than about the events.
    fn is_of_the_line(&self) -> bool {
        match self {
            Self::NoLine(_) | Self::Late => true,
            Self::Store(error) => error.is_transient(),
        }
    }
}

impl Committer {
    async fn serve(&mut self, queue: &Arc<Queue>, stop: &CancellationToken) {
        let mut over = None;
        while let Some(Taken { batch, under_way }) = queue.next(over.take(), stop).await {
            self.commit(batch).await;
            over = Some(under_way);
            // On a machine that is full, whoever was answered just now is about to ask again, and others wait for this core: they go
            // first, and the next commit has theirs too. On one that is not this returns at once.
            std::thread::yield_now();
        }
    }

    /// Writes a batch and answers each of its callers.
    async fn commit(&mut self, batch: Vec<Submission>) {
        self.committing.batch_sizes.observe_value(batch.len() as f64);
        let began = self.committing.clock.monotonic();
        let written = self.write(&batch).await;
        self.committing.commit_times.observe(self.committing.clock.monotonic().saturating_duration_since(began));
        match written {
            Ok(ingested) => self.answer(batch, ingested).await,
            Err(failure) if failure.is_of_the_line() || batch.len() == 1 => self.fail(batch, &failure),
            Err(failure) => {
                tracing::warn!({ field::ERROR } = error_chain(&failure), "a batch is written one by one");
                for submission in batch {
                    self.commit_alone(submission).await;
                }
            }
        }
    }

    /// One event of a batch that Postgres refused: the one it objects to must not fail its neighbours.
    async fn commit_alone(&mut self, submission: Submission) {
        let batch = vec![submission];
        match self.write(&batch).await {
            Ok(ingested) => self.answer(batch, ingested).await,
            Err(failure) => self.fail(batch, &failure),
        }
    }

    fn fail(&self, batch: Vec<Submission>, failure: &Failure) {
        self.committing.failures.inc();
        let why = if failure.is_of_the_line() { NotAccepted::Unavailable } else { NotAccepted::Refused };
        tracing::error!(
            { field::ERROR } = error_chain(failure),
            { field::COUNT } = batch.len(),
            "events were not accepted"
        );
        for submission in batch {
            let _ = submission.reply.send(Err(why));
        }
    }

    /// Writes a batch. When the connection turns out to be broken it is tried once more on a new one: ids are made once, so
    /// if the lost statement was committed after all, the second is refused and nothing is written twice.
    async fn write(&mut self, batch: &[Submission]) -> Result<Vec<Ingested>, Failure> {
        let events: Vec<IncomingEvent<'_>> = batch.iter().map(|submission| submission.event.incoming()).collect();
        match self.try_write(&events).await {
            Err(failure @ Failure::Store(_)) if failure.is_of_the_line() => match self.try_write(&events).await {
                Err(Failure::Store(StoreError::Conflict { .. })) => Err(failure),
                second => second,
            },
            first => first,
        }
    }

    async fn try_write(&mut self, events: &[IncomingEvent<'_>]) -> Result<Vec<Ingested>, Failure> {
        let delivery_is_on = self.committing.flags.current().delivery;
        let hold = (!delivery_is_on).then_some(HeldReason::DeliveryOff);
        let surplus = self.committing.pusher.surplus();
        let terms = Terms { lease: self.committing.lease, hold, surplus: &surplus };
        let connection = self.line.open().await?;
        let written = tokio::time::timeout(DEADLINE, ingest::accept(connection, events, terms)).await;
        self.judge(written)
    }

    /// A connection that failed is given up.
    fn judge<T>(&mut self, result: Result<Result<T, StoreError>, tokio::time::error::Elapsed>) -> Result<T, Failure> {
        let result = result.map_err(|_| Failure::Late).and_then(|result| result.map_err(Failure::Store));
        if result.as_ref().is_err_and(Failure::is_of_the_line) {
            self.line.hang_up();
        }
        result
    }

    /// Answers a written batch and hands its deliveries on.
    async fn answer(&mut self, batch: Vec<Submission>, ingested: Vec<Ingested>) {
        let mut repeated = Vec::new();
        for (submission, ingested) in batch.into_iter().zip(ingested) {
            match ingested {
                Ingested::Accepted(accepted) => {
                    let receipt = receipt_of(&submission.event, &accepted);
                    let _ = submission.reply.send(Ok(receipt));
                    self.committing.pusher.leave(accepted.due);
                    for work in accepted.queued {
                        self.committing.pusher.push(&work, &submission.event.body);
                    }
                }
                Ingested::KeyTaken => repeated.push(submission),
            }
        }
        if !repeated.is_empty() {
            self.answer_repetitions(repeated).await;
        }
    }

    /// Answers requests whose idempotency keys were taken: with the first answer again, or that the content differs.
    async fn answer_repetitions(&mut self, repeated: Vec<Submission>) {
        let found = match self.first_uses(&repeated).await {
            Ok(found) => found,
            Err(failure) => return self.fail(repeated, &failure),
        };
        for submission in repeated {
            let answer = match &submission.event.claim {
                Some(claim) => {
                    repetition(&submission.event, claim, found.get(&(claim.owner.clone(), claim.key.to_string())))
                }
                None => Err(NotAccepted::Refused),
            };
            let _ = submission.reply.send(answer);
        }
    }

    async fn first_uses(&mut self, repeated: &[Submission]) -> Result<HashMap<(OwnerId, String), Remembered>, Failure> {
        let claims = repeated.iter().filter_map(|submission| submission.event.claim.as_ref());
        let asked: Vec<(&OwnerId, &str)> = claims.map(|claim| (&claim.owner, claim.key.as_str())).collect();
        let connection = self.line.open().await?;
        let found = tokio::time::timeout(DEADLINE, idempotency::find(connection, &asked)).await;
        let found = self.judge(found)?;
        Ok(found.into_iter().map(|first| ((first.owner_id.clone(), first.key.clone()), first)).collect())
    }
}

fn receipt_of(event: &PreparedEvent, accepted: &Accepted) -> Receipt {
    Receipt {
        event_id: event.event_id,
        queued: accepted.matched,
        created_at: accepted.created_at.to_utc(),
        replayed: false,
    }
}

/// The answer to a request whose key was taken by `first`.
fn repetition(event: &PreparedEvent, claim: &Claim, first: Option<&Remembered>) -> Result<Receipt, NotAccepted> {
    // Forgotten between the two statements: sent again, the key is free.
    let first = first.ok_or(NotAccepted::Unavailable)?;
    if first.digest != *claim.digest.as_bytes() {
        return Err(NotAccepted::KeyMismatch);
    }
    Ok(Receipt {
        event_id: first.event_id,
        queued: first.matched.unwrap_or_default(),
        created_at: first.created_at,
        // Its own first try, whose answer was lost on the way from Postgres, is no repetition.
        replayed: first.event_id != event.event_id,
    })
}
