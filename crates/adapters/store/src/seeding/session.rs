//! A connection that copies rows.

use chrono::{Days, NaiveDate};
use futures_util::SinkExt as _;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, NoTls, Socket, Transaction};

use super::binary::CopyBuffer;
use super::rows::{CopyRow, SeedAttempt, SeedDelivery, SeedEvent, SeedPartner, SeedSubscription};
use crate::address::Tls;
use crate::pool::CONNECT_TIMEOUT;
use crate::{PoolConfig, StoreError, partitions};

/// Sent to the server at once.
const CHUNK: usize = 256 * 1024;

/// How a seeding session differs from all others: nothing of it needs to survive a crash, and no statement is too long.
const SESSION: &str = "SET synchronous_commit TO off; SET search_path TO public; SET statement_timeout TO 0; \
                       SET maintenance_work_mem TO '256MB'";

/// Rows of one day.
pub struct Day<Events, Deliveries, Attempts> {
    /// Which, in UTC.
    pub day: NaiveDate,
    /// Whether it has partitions.
    pub kind: DayKind,
    /// Its events.
    pub events: Events,
    /// Their deliveries.
    pub deliveries: Deliveries,
    /// Those deliveries' attempts.
    pub attempts: Attempts,
}

/// Whether a day has partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// It has.
    Present,
    /// It has none yet.
    Missing,
}

/// A connection for seeding. Closed when dropped.
pub struct Seeder {
    client: Client,
    connection: JoinHandle<()>,
}

impl std::fmt::Debug for Seeder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Seeder").finish_non_exhaustive()
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Seeder {
    /// Opens a connection on the calling runtime.
    ///
    /// # Errors
    /// [`StoreError::Connect`].
    pub async fn open(config: &PoolConfig) -> Result<Self, StoreError> {
        let opening = async {
            match &config.address().tls {
                None => Self::open_with(config, NoTls).await,
                Some(Tls(tls)) => Self::open_with(config, tls.clone()).await,
            }
        };
        let in_time = tokio::time::timeout(CONNECT_TIMEOUT, opening).await;
        let opened = in_time.map_err(|late| StoreError::Connect { source: late.into() })?;
        opened.map_err(|source| StoreError::Connect { source: source.into() })
    }

    async fn open_with<T>(config: &PoolConfig, tls: T) -> Result<Self, tokio_postgres::Error>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Unpin + Send + 'static,
    {
        let (client, connection) = config.address().config.connect(tls).await?;
        let connection = tokio::spawn(async move {
            // Whoever waits for an answer is told of it too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a seeding connection was lost");
            }
        });
        let seeder = Self { client, connection };
        seeder.client.batch_execute(SESSION).await?;
        Ok(seeder)
    }

    /// Adds partners and their subscriptions, all or none.
    ///
    /// # Errors
    /// [`StoreError::Copy`], for example when one of them is there.
    pub async fn copy_partners<'a>(
        &mut self,
        partners: impl Iterator<Item = SeedPartner<'a>>,
        subscriptions: impl Iterator<Item = SeedSubscription<'a>>,
    ) -> Result<(), StoreError> {
        let copying = async {
            let transaction = self.client.transaction().await?;
            copy(&transaction, SeedPartner::TABLE, "", partners).await?;
            copy(&transaction, SeedSubscription::TABLE, "", subscriptions).await?;
            transaction.commit().await
        };
        copying.await.map_err(failed("seed partners"))
    }

    /// Adds what happened on a day, all or none.
    ///
    /// # Errors
    /// [`StoreError::Copy`], for example when a row is of another day, or when a missing day is not missing any more.
    pub async fn copy_day<'a, Events, Deliveries, Attempts>(
        &mut self,
        day: Day<Events, Deliveries, Attempts>,
    ) -> Result<(), StoreError>
    where
        Events: Iterator<Item = SeedEvent<'a>>,
        Deliveries: Iterator<Item = SeedDelivery<'a>>,
        Attempts: Iterator<Item = SeedAttempt<'a>>,
    {
        let copying = async {
            let transaction = self.client.transaction().await?;
            let options = match day.kind {
                DayKind::Present => "",
                DayKind::Missing => {
                    transaction.batch_execute(&create_tables(day.day)).await?;
                    // Possible in the transaction that makes the table: its rows need no vacuum ever.
                    ", FREEZE"
                }
            };
            copy(&transaction, &partition::<SeedEvent<'_>>(day.day), options, day.events).await?;
            copy(&transaction, &partition::<SeedDelivery<'_>>(day.day), options, day.deliveries).await?;
            copy(&transaction, &partition::<SeedAttempt<'_>>(day.day), options, day.attempts).await?;
            if day.kind == DayKind::Missing {
                transaction.batch_execute(&attach_tables(day.day)).await?;
            }
            transaction.commit().await
        };
        copying.await.map_err(failed("seed a day"))
    }
}

const fn failed(operation: &'static str) -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    move |source| StoreError::Copy { operation, source }
}

/// Sends rows to a table. When rows or the server break it off, nothing of it stays.
async fn copy<Row: CopyRow>(
    transaction: &Transaction<'_>,
    table: &str,
    options: &str,
    rows: impl Iterator<Item = Row>,
) -> Result<u64, tokio_postgres::Error> {
    let columns = Row::COLUMNS.join(", ");
    let command = format!("COPY public.{table} ({columns}) FROM STDIN (FORMAT binary{options})");
    let mut sink = std::pin::pin!(transaction.copy_in(&command).await?);
    let mut buffer = CopyBuffer::new();
    let columns = i16::try_from(Row::COLUMNS.len()).unwrap_or(i16::MAX);
    for row in rows {
        buffer.row(columns);
        row.put(&mut buffer);
        if buffer.len() >= CHUNK {
            sink.send(buffer.take()).await?;
        }
    }
    sink.send(buffer.end()).await?;
    sink.finish().await
}

/// Name of the day's partition.
fn partition<Row: CopyRow>(day: NaiveDate) -> String {
    format!("{}_{}", Row::TABLE, day.format("%Y%m%d"))
}

/// The three partitioned tables, with what their partitions are made with. As `onering.ensure_partitions` has it.
const PARENTS: [(&str, u8); 3] = [(SeedEvent::TABLE, 100), (SeedDelivery::TABLE, 70), (SeedAttempt::TABLE, 100)];

/// Tables for a day, by themselves: made as `onering.ensure_partitions` makes them, and attached when they are full.
fn create_tables(day: NaiveDate) -> String {
    let name = day.format("%Y%m%d");
    let statements = PARENTS.map(|(parent, fillfactor)| {
        format!(
            "CREATE TABLE public.{parent}_{name} (LIKE public.{parent} INCLUDING ALL EXCLUDING INDEXES EXCLUDING COMMENTS) \
             WITH (fillfactor = {fillfactor});"
        )
    });
    statements.concat()
}

/// Attaches them, which makes their indexes and triggers and waits for nobody who reads or writes. One changes partitions
/// at a time, and whoever finds another at it leaves it: only here the other is waited for.
fn attach_tables(day: NaiveDate) -> String {
    let name = day.format("%Y%m%d");
    let (first, after) = (partitions::floor(day), partitions::floor(day + Days::new(1)));
    let statements = PARENTS.map(|(parent, _)| {
        format!(
            "ALTER TABLE public.{parent} ATTACH PARTITION public.{parent}_{name} FOR VALUES FROM ('{first}') TO ('{after}');"
        )
    });
    format!("SELECT pg_advisory_xact_lock(hashtext('onering.partitions')); {}", statements.concat())
}
