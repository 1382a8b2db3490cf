//! The catalogue of event types that partners read.
//!
//! It informs; it does not gate: an event whose type is not in it can be published all the same.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use crate::audit_log::Upserted;
use crate::statement::statement;
use crate::{Context, StoreError};

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct CatalogueEntry {
    /// The event type, such as `ring.forged`.
    pub name: String,
    /// What happened when it is sent.
    pub description: String,
    /// JSON Schema (2020-12) of `data`.
    pub schema: Value,
    /// Whether partners should move away from it.
    pub deprecated: bool,
    /// When it entered the catalogue.
    pub created_at: DateTime<Utc>,
}

/// What to write into the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueChange {
    /// The event type: created when it is not there, else changed.
    pub name: String,
    /// What happened when it is sent; `None` keeps it, or leaves it empty for a new one.
    pub description: Option<String>,
    /// JSON Schema of `data`, an object; `None` keeps it, or `{}` for a new one.
    pub schema: Option<Value>,
    /// `None` keeps it, or `false` for a new one.
    pub deprecated: Option<bool>,
}

macro_rules! columns {
    () => {
        "name, description, schema, deprecated, created_at"
    };
}
type Columns = (Text, Text, Jsonb, Bool, Timestamptz);

statement! {
    struct List {} -> Columns = concat!("SELECT ", columns!(), " FROM event_types ORDER BY name");
}

statement! {
    struct Lock { name: String => Text } -> Columns =
        concat!("SELECT ", columns!(), " FROM event_types WHERE name = $1 FOR UPDATE");
}

statement! {
    struct Write {
        name: String => Text,
        description: Option<String> => Nullable<Text>,
        schema: Option<Value> => Nullable<Jsonb>,
        deprecated: Option<bool> => Nullable<Bool>,
    } -> Columns = concat!(
        "INSERT INTO event_types AS t (name, description, schema, deprecated) ",
        "VALUES ($1, coalesce($2, ''), coalesce($3, '{}'), coalesce($4, false)) ",
        "ON CONFLICT (name) DO UPDATE SET description = coalesce($2, t.description), ",
        "schema = coalesce($3, t.schema), deprecated = coalesce($4, t.deprecated) RETURNING ", columns!()
    );
}

/// The whole catalogue, by name.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(conn: &mut AsyncPgConnection) -> Result<Vec<CatalogueEntry>, StoreError> {
    List {}.load(conn).await.during("list event types")
}

/// Creates or changes an entry.
///
/// # Errors
/// [`StoreError::Conflict`] when the name or the schema breaks a rule of the table, [`StoreError::Query`] when Postgres
/// fails.
pub async fn upsert(
    conn: &mut AsyncPgConnection,
    change: CatalogueChange,
) -> Result<Upserted<CatalogueEntry>, StoreError> {
    conn.transaction(async |conn| {
        let before =
            Lock { name: change.name.clone() }.get_result(conn).await.optional().during("lock an event type")?;
        let CatalogueChange { name, description, schema, deprecated } = change;
        let after =
            Write { name, description, schema, deprecated }.get_result(conn).await.during("write an event type")?;
        Ok(Upserted { before, after })
    })
    .await
}

#[cfg(test)]
mod tests;
