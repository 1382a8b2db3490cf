//! Runtime overrides of the switches, and the receipts of what every process has applied.
//!
//! An override can only narrow; the merge is `onering_rollout::resolve`. Processes read all overrides each time and
//! compare the values: there is no change number to trust, as one could be seen before the change itself is committed.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_rollout::{SourceValues, Switch, Value};

use crate::audit_log::Upserted;
use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// An override as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The switch it narrows.
    pub switch: Switch,
    /// Its narrowing value.
    pub value: Value,
    /// For people.
    pub reason: String,
    /// Who set it.
    pub set_by: String,
    /// When.
    pub set_at: DateTime<Utc>,
    /// Order of changes: a later change has a larger number.
    pub generation: i64,
}

/// An override to set. The caller has checked with `Switch::parse_override` that the value can narrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOverride {
    /// The switch to narrow.
    pub switch: Switch,
    /// The value.
    pub value: Value,
    /// For people.
    pub reason: String,
    /// Who sets it.
    pub set_by: String,
}

/// All overrides in force, as a source of switch values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// What they say.
    pub values: SourceValues,
    /// When the newest of them was set; `None` when there is none.
    pub changed_at: Option<DateTime<Utc>>,
}

impl Overrides {
    /// The source that these rows make together.
    #[must_use]
    pub fn of(rows: &[Override]) -> Self {
        let mut values = SourceValues::default();
        for row in rows {
            // The text of a value of this switch is a value of this switch.
            let _kept = values.set(row.switch, &row.value.to_string());
        }
        Self { values, changed_at: rows.iter().map(|row| row.set_at).max() }
    }
}

/// What one process has applied, as it reports and as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The process.
    pub process: String,
    /// Which of the four services it is.
    pub service: String,
    /// How many changes of its switches it has applied since it started.
    pub generation: u64,
    /// Digest of the switches in force.
    pub fingerprint: String,
    /// The switches in force, as JSON.
    pub switches: serde_json::Value,
    /// When the source of the last change was written; `None` when nothing changed since start.
    pub changed_at: Option<DateTime<Utc>>,
    /// When the process applied it.
    pub applied_at: DateTime<Utc>,
}

macro_rules! columns {
    () => {
        "name, value, reason, set_by, set_at, generation"
    };
}
type Columns = (Text, Text, Text, Text, Timestamptz, BigInt);

#[derive(Queryable)]
struct Row {
    name: String,
    value: String,
    reason: String,
    set_by: String,
    set_at: DateTime<Utc>,
    generation: i64,
}

impl TryFrom<Row> for Override {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let switch: Switch = word("flag_overrides", "name", &row.name)?;
        Ok(Self {
            switch,
            value: switch.parse_value(&row.value).map_err(|error| StoreError::row("flag_overrides", "value", error))?,
            reason: row.reason,
            set_by: row.set_by,
            set_at: row.set_at,
            generation: row.generation,
        })
    }
}

statement! {
    struct Overridden {} -> Columns = concat!("SELECT ", columns!(), " FROM flag_overrides ORDER BY name");
}

statement! {
    struct Lock { name: String => Text } -> Columns =
        concat!("SELECT ", columns!(), " FROM flag_overrides WHERE name = $1 FOR UPDATE");
}

statement! {
    struct Set { name: String => Text, value: String => Text, reason: String => Text, set_by: String => Text }
    -> Columns = concat!(
        "INSERT INTO flag_overrides AS o (name, value, reason, set_by, set_at) ",
        "VALUES ($1, $2, $3, $4, clock_timestamp()) ",
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, reason = excluded.reason, ",
        "set_by = excluded.set_by, set_at = excluded.set_at, generation = excluded.generation RETURNING ", columns!()
    );
}

statement! {
    struct Clear { name: String => Text } -> Columns =
        concat!("DELETE FROM flag_overrides WHERE name = $1 RETURNING ", columns!());
}

// Processes come and go with names of their own, so each report also takes away those silent for a day.
statement! {
    struct Report {
        process: String => Text,
        service: String => Text,
        generation: i64 => BigInt,
        fingerprint: String => Text,
        switches: serde_json::Value => Jsonb,
        changed_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        applied_at: DateTime<Utc> => Timestamptz,
    } -> () = "
        WITH mine AS (
            SELECT $1 AS process
        ), gone AS (
            DELETE FROM flag_receipts AS r USING mine
            WHERE r.seen_at < now() - interval '1 day' AND r.process <> mine.process
        )
        INSERT INTO flag_receipts (process, service, generation, fingerprint, switches, changed_at, applied_at, seen_at)
        SELECT mine.process, $2, $3, $4, $5, $6, $7, now() FROM mine
        ON CONFLICT (process) DO UPDATE SET service = excluded.service, generation = excluded.generation,
            fingerprint = excluded.fingerprint, switches = excluded.switches, changed_at = excluded.changed_at,
            applied_at = excluded.applied_at, seen_at = excluded.seen_at";
}

statement! {
    struct Receipts {} -> (Text, Text, BigInt, Text, Jsonb, Nullable<Timestamptz>, Timestamptz) = "
        SELECT process, service, generation, fingerprint, switches, changed_at, applied_at FROM flag_receipts
        WHERE seen_at > now() - interval '1 minute' ORDER BY service, process";
}

#[derive(Queryable)]
struct ReceiptRow {
    process: String,
    service: String,
    generation: i64,
    fingerprint: String,
    switches: serde_json::Value,
    changed_at: Option<DateTime<Utc>>,
    applied_at: DateTime<Utc>,
}

/// All overrides, by the switch's name.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails, [`StoreError::Row`] when a row is for a switch this program does not
/// know: the caller then keeps what it has, as a guess could open what somebody closed.
pub async fn overrides(conn: &mut AsyncPgConnection) -> Result<Vec<Override>, StoreError> {
    let rows: Vec<Row> = Overridden {}.load(conn).await.during("read overrides")?;
    rows.into_iter().map(Override::try_from).collect()
}

/// Sets an override, or replaces it.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn set_override(conn: &mut AsyncPgConnection, new: &NewOverride) -> Result<Upserted<Override>, StoreError> {
    conn.transaction(async |conn| {
        let name = new.switch.name().to_owned();
        let before: Option<Row> =
            Lock { name: name.clone() }.get_result(conn).await.optional().during("lock an override")?;
        let (value, reason, set_by) = (new.value.to_string(), new.reason.clone(), new.set_by.clone());
        let after: Row = Set { name, value, reason, set_by }.get_result(conn).await.during("set an override")?;
        Ok(Upserted { before: before.map(Override::try_from).transpose()?, after: after.try_into()? })
    })
    .await
}

/// Takes an override away and answers what it was; `None` when there was none.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn clear_override(conn: &mut AsyncPgConnection, switch: Switch) -> Result<Option<Override>, StoreError> {
    let row: Option<Row> =
        Clear { name: switch.name().to_owned() }.get_result(conn).await.optional().during("clear an override")?;
    row.map(Override::try_from).transpose()
}

/// Writes what this process has applied, and that it is alive.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn report_receipt(conn: &mut AsyncPgConnection, receipt: Receipt) -> Result<(), StoreError> {
    Report {
        process: receipt.process,
        service: receipt.service,
        generation: i64::try_from(receipt.generation).unwrap_or(i64::MAX),
        fingerprint: receipt.fingerprint,
        switches: receipt.switches,
        changed_at: receipt.changed_at,
        applied_at: receipt.applied_at,
    }
    .execute(conn)
    .await
    .during("report applied switches")?;
    Ok(())
}

/// What the processes that were alive within the last minute have applied, by service and process.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn receipts(conn: &mut AsyncPgConnection) -> Result<Vec<Receipt>, StoreError> {
    let rows: Vec<ReceiptRow> = Receipts {}.load(conn).await.during("list applied switches")?;
    Ok(rows
        .into_iter()
        .map(|row| Receipt {
            process: row.process,
            service: row.service,
            generation: row.generation.unsigned_abs(),
            fingerprint: row.fingerprint,
            switches: row.switches,
            changed_at: row.changed_at,
            applied_at: row.applied_at,
        })
        .collect())
}

#[cfg(test)]
mod tests;
