//! [`Consumer`]: the reading end of the delivery stream, one a worker.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Value, cmd};
use tokio::time::timeout;

use crate::delivery_stream::{DeliveryStream, whole_ms};
use crate::entry::StreamEntry;
use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::names::{DELIVERIES, GROUP};
use crate::stream_reply::{Entries, EntryId, claim_reply, read_reply};

/// How much longer than its blocking time a read may take before the connection counts as lost.
const READ_GRACE: Duration = Duration::from_secs(2);

/// Entries taken from the stream. They stay pending until acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The entries, oldest first: the id to acknowledge when all of its deliveries are done with, and those.
    pub packs: Vec<(EntryId, Vec<StreamEntry>)>,
    /// How many deliveries could not be read. Their entries are acknowledged already; the sweep finds them after their leases.
    pub garbled: usize,
}

type Reading = Pin<Box<dyn Future<Output = Result<Batch, QueueError>> + Send>>;

/// One worker's place in the consumer group, with a connection of its own, because a blocking read keeps the whole
/// connection to itself.
pub struct Consumer {
    ends: Arc<Ends>,
    /// A read whose caller went away. Redis hands its entries out all the same, so the next caller takes it up;
    /// dropped, they would lie unseen until taken over as if this worker were dead.
    reading: Option<Reading>,
    claim_from: EntryId,
}

struct Ends {
    name: String,
    reader: Link,
    stream: DeliveryStream,
}

impl Consumer {
    pub(crate) fn new(name: String, reader: Link, stream: DeliveryStream) -> Self {
        Self { ends: Arc::new(Ends { name, reader, stream }), reading: None, claim_from: EntryId::default() }
    }

    /// The name this consumer reads under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.ends.name
    }

    /// Takes up to `count` new entries, each a pack of up to [32](crate::PACK_LIMIT) deliveries, waiting up to `block` for the first. An empty batch: none came.
    ///
    /// May be dropped at any point, as `select!` does: a read that is under way is continued by the next call, with the
    /// `count` and `block` it was begun with. A stream or group that is gone (Redis was flushed or replaced) is made
    /// again.
    ///
    /// # Errors
    /// [`QueueError::Read`], and [`QueueError::Acknowledge`] or [`QueueError::Group`] from putting things right.
    pub async fn read(&mut self, count: usize, block: Duration) -> Result<Batch, QueueError> {
        let ends = &self.ends;
        let reading = self.reading.get_or_insert_with(|| {
            let ends = Arc::clone(ends);
            Box::pin(async move { ends.read(count, block).await })
        });
        let batch = reading.await;
        self.reading = None;
        batch
    }

    /// Waits for the read that a dropped caller left under way, if there is one: before a worker stops, so that nothing
    /// lies taken and unseen.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn finish(&mut self) -> Result<Batch, QueueError> {
        let Some(reading) = &mut self.reading else { return Ok(Batch::default()) };
        let batch = reading.await;
        self.reading = None;
        batch
    }

    /// Takes over up to `count` entries that somebody took at least `min_idle` ago and has not acknowledged: their
    /// worker is dead, or an answer to it was lost. Each call goes on where the last one stopped and begins anew after
    /// the end.
    ///
    /// # Errors
    /// [`QueueError::Claim`], and [`QueueError::Acknowledge`] from putting garbled entries away.
    pub async fn claim_idle(&mut self, min_idle: Duration, count: usize) -> Result<Batch, QueueError> {
        let mut command = cmd("XAUTOCLAIM");
        command.arg(DELIVERIES).arg(GROUP).arg(&self.ends.name).arg(whole_ms(min_idle));
        command.arg(self.claim_from.to_string()).arg("COUNT").arg(count.max(1));
        let (next, entries) = match self.ends.stream.query(&command).await.and_then(claim_reply) {
            // Nothing was ever read, so nobody can have died over it.
            Err(fault) if fault.has_code("NOGROUP") => (EntryId::default(), Entries::default()),
            answer => answer.map_err(|source| QueueError::Claim { consumer: self.ends.name.clone(), source })?,
        };
        self.claim_from = next;
        self.ends.put_garbled_away(entries).await
    }
}

impl Ends {
    async fn read(&self, count: usize, block: Duration) -> Result<Batch, QueueError> {
        let entries = match self.read_once(count, block).await {
            Err(fault) if is_gone(&fault) => {
                self.stream.ensure_group().await?;
                self.read_once(count, block).await
            }
            answer => answer,
        };
        let entries = entries.map_err(|source| QueueError::Read { consumer: self.name.clone(), source })?;
        self.put_garbled_away(entries).await
    }

    async fn read_once(&self, count: usize, block: Duration) -> Result<Entries, Fault> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(count.max(1));
        // To Redis a block of 0 means for ever; to the caller it means not at all.
        if !block.is_zero() {
            command.arg("BLOCK").arg(whole_ms(block).max(1));
        }
        command.arg("STREAMS").arg(DELIVERIES).arg(">");
        let Ok(answer) = timeout(block.saturating_add(READ_GRACE), self.reader.query::<Value>(&command)).await else {
            self.reader.forget();
            return Err(Fault::Deadline);
        };
        answer.and_then(read_reply)
    }

    async fn put_garbled_away(&self, entries: Entries) -> Result<Batch, QueueError> {
        if !entries.garbled.is_empty() {
            tracing::warn!(entries = entries.garbled.len(), "stream entries cannot be read; acknowledging them");
            self.stream.ack(&entries.garbled).await?;
        }
        Ok(Batch { packs: entries.readable, garbled: entries.garbled_deliveries })
    }
}

/// Whether the stream or its group is not there (any more). A read that was blocked when the stream went away is told
/// so under another code.
fn is_gone(fault: &Fault) -> bool {
    fault.has_code("NOGROUP") || fault.has_code("UNBLOCKED")
}
