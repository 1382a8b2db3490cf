//! [`DeliveryStream`]: pushing deliveries, acknowledging entries, and how many wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value, cmd, pipe};
use onering_clock::Clock;

use crate::entry::StreamEntry;
use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::lua::Lua;
use crate::names::{DELIVERIES, FIELD, GROUP};
use crate::pack::Pack;
use crate::pooled::Pooled;
use crate::stream_length::{Lengths, StreamLength};
use crate::stream_reply::EntryId;

/// With about so many deliveries in the stream nothing more is pushed: what is left out waits in Postgres, where the
/// sweep finds it, so Redis' memory stays bounded however far the workers fall behind.
pub const STREAM_BOUND: u64 = 20_000;

/// How many packs go into one round trip: no more than 2 MiB of bodies. Bounds how long one push keeps the connection from
/// others.
const PUSH_CHUNK: usize = 32;

/// How many ids one acknowledging command names.
const ACK_CHUNK: usize = 512;

/// Deletes, in one step, the names of consumers that hold nothing and have not read for `ARGV[2]` milliseconds.
/// In one step, because a consumer that reads between the look and the deletion would lose what it read.
const FORGET_SCRIPT: &str = "
local forgotten = 0
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
  if about['pending'] == 0 and about['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    forgotten = forgotten + 1
  end
end
return forgotten";

/// How many entries the stream holds, and how many of them nobody has taken: what is under way says nothing of how far
/// the workers are behind.
const LENGTHS_SCRIPT: &str = "
local len, taken = redis.call('XLEN', KEYS[1]), 0
if len == 0 then return {0, 0} end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  if about['name'] == ARGV[1] then taken = about['pending'] end
end
return {len, math.max(len - taken, 0)}";

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushReport {
    /// How many deliveries went into the stream; the rest was left to the sweep because the stream is full.
    pub pushed: usize,
    /// About how many deliveries the stream holds now.
    pub stream_len: u64,
    /// About how many of them no worker has taken: no fewer than there are as far as this process knows, since it does not ask
    /// with each push what was taken meanwhile. [`DeliveryStream::waiting`] asks.
    pub waiting: u64,
}

/// The writing and settling end of the delivery stream. Clones share one connection, usable from any thread.
#[derive(Clone)]
pub struct DeliveryStream {
    link: Arc<Link>,
    pooled: Pooled,
    clock: Clock,
    lengths: Arc<Lua>,
    /// What is known of the length, so that it is not asked with each push.
    known: Arc<Mutex<StreamLength>>,
}

impl DeliveryStream {
    pub(crate) fn new(link: Arc<Link>, pooled: Pooled, clock: Clock) -> Self {
        Self { link, pooled, clock, lengths: Arc::new(Lua::new(LENGTHS_SCRIPT.to_owned())), known: Arc::default() }
    }

    /// Pushes deliveries, in order and in [packs](Pack), some dozens of those to a round trip, until all are in or the stream
    /// is full ([`STREAM_BOUND`]).
    ///
    /// # Errors
    /// [`QueueError::Push`]. Some deliveries may be in the stream all the same; that costs a look at most, because the
    /// fence lets only the holder of the current lease send.
    pub async fn push(&self, entries: &[StreamEntry]) -> Result<PushReport, QueueError> {
        let mut pushed = 0;
        let packs: Vec<Pack<'_>> = Pack::of(entries).collect();
        for chunk in packs.chunks(PUSH_CHUNK) {
            if self.is_full().await? {
                break;
            }
            let added = self.push_chunk(chunk).await;
            pushed += added.map_err(|source| QueueError::Push { entries: entries.len() - pushed, source })?;
        }
        let known = self.known();
        Ok(PushReport { pushed, stream_len: known.deliveries(), waiting: known.waiting() })
    }

    /// Answers how many deliveries that were.
    async fn push_chunk(&self, chunk: &[Pack<'_>]) -> Result<usize, Fault> {
        let mut commands = pipe();
        for pack in chunk {
            commands.cmd("XADD").arg(DELIVERIES).arg("*").arg(FIELD).arg(pack.encode()).ignore();
        }
        let deliveries = chunk.iter().map(Pack::len).sum();
        if self.known().is_to_be_asked(deliveries, self.clock.monotonic()) {
            // One behind the other on one connection: the lengths are those after the push. Without them, what was known
            // is still good, and the next push asks again.
            let (added, lengths) = tokio::join!(self.link.pipeline::<()>(&commands), self.ask());
            added?;
            self.note(chunk, lengths.ok());
        } else {
            let () = self.link.pipeline(&commands).await?;
            self.note(chunk, None);
        }
        Ok(deliveries)
    }

    fn note(&self, pushed: &[Pack<'_>], lengths: Option<Lengths>) {
        let mut known = self.known();
        pushed.iter().for_each(|pack| known.pushed(pack.len()));
        if let Some(lengths) = lengths {
            known.heard(lengths, self.clock.monotonic());
        }
    }

    /// Whether the stream is full. Asks Redis only when it is as far as is known: the workers may have caught up.
    async fn is_full(&self) -> Result<bool, QueueError> {
        if self.known().deliveries() < STREAM_BOUND {
            return Ok(false);
        }
        self.lengths().await?;
        Ok(self.known().deliveries() >= STREAM_BOUND)
    }

    /// How many entries (packs of one to [32](crate::PACK_LIMIT) deliveries) the stream holds: waiting ones and taken ones
    /// that are not acknowledged yet.
    ///
    /// # Errors
    /// [`QueueError::Length`].
    pub async fn len(&self) -> Result<u64, QueueError> {
        self.lengths().await.map(|lengths| lengths.len)
    }

    /// About how many deliveries no worker has taken yet: exact as long as this process alone pushes, otherwise what there
    /// would be if the others' packs were like its own.
    ///
    /// # Errors
    /// [`QueueError::Length`].
    pub async fn waiting(&self) -> Result<u64, QueueError> {
        self.lengths().await?;
        Ok(self.known().waiting())
    }

    async fn lengths(&self) -> Result<Lengths, QueueError> {
        let lengths = self.ask().await.map_err(|source| QueueError::Length { source })?;
        self.known().heard(lengths, self.clock.monotonic());
        Ok(lengths)
    }

    async fn ask(&self) -> Result<Lengths, Fault> {
        let mut command = self.lengths.command();
        command.arg(1).arg(DELIVERIES).arg(GROUP);
        let (len, waiting) = self.lengths.call(&self.link, &command).await?;
        Ok(Lengths { len, waiting })
    }

    /// Whether the stream holds nothing: nothing waits and nothing is being attempted.
    ///
    /// # Errors
    /// [`QueueError::Length`].
    pub async fn is_empty(&self) -> Result<bool, QueueError> {
        Ok(self.len().await? == 0)
    }

    /// Acknowledges entries and deletes them, in one round trip.
    ///
    /// # Errors
    /// [`QueueError::Acknowledge`]. Then they are handed out again later and lose at their renewal.
    pub async fn ack(&self, ids: &[EntryId]) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut commands = pipe();
        for chunk in ids.chunks(ACK_CHUNK) {
            let names: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            commands.cmd("XACK").arg(DELIVERIES).arg(GROUP).arg(&names).ignore();
            commands.cmd("XDEL").arg(DELIVERIES).arg(&names).ignore();
        }
        let answered: Result<(), Fault> = self.link.pipeline(&commands).await;
        answered.map_err(|source| QueueError::Acknowledge { entries: ids.len(), source })
    }

    /// Makes the consumer group, and the stream with it, if they are not there. The group begins at the stream's
    /// first entry, so what was pushed before the group existed is read.
    ///
    /// # Errors
    /// [`QueueError::Group`].
    pub async fn ensure_group(&self) -> Result<(), QueueError> {
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(DELIVERIES).arg(GROUP).arg("0").arg("MKSTREAM");
        let created: Result<Value, Fault> = self.link.query(&command).await;
        match created {
            Err(fault) if !fault.has_code("BUSYGROUP") => Err(QueueError::Group { source: fault }),
            _ => Ok(()),
        }
    }

    /// Forgets the names of consumers that hold no entry and have not read for `idle`: each worker that ever ran leaves
    /// one. Answers how many.
    ///
    /// # Errors
    /// [`QueueError::Forget`].
    pub async fn forget_idle_consumers(&self, idle: Duration) -> Result<u64, QueueError> {
        let mut command = cmd("EVAL");
        command.arg(FORGET_SCRIPT).arg(1).arg(DELIVERIES).arg(GROUP).arg(whole_ms(idle));
        match self.pooled.query(command).await {
            Err(fault) if fault.has_code("NOGROUP") => Ok(0),
            result => result.map_err(|source| QueueError::Forget { source }),
        }
    }

    pub(crate) async fn query(&self, command: &Cmd) -> Result<Value, Fault> {
        self.link.query(command).await
    }

    /// Never held across an await; its values are replaced whole, so a panic elsewhere leaves nothing half done.
    fn known(&self) -> MutexGuard<'_, StreamLength> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration as Redis takes it.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
