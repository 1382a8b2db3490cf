//! The database's clock, which alone judges leases.

use chrono::{DateTime, Utc};
use diesel::sql_types::Timestamptz;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::DatabaseTime;

use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    struct ReadClock {} -> Timestamptz = "SELECT clock_timestamp()";
}

/// What time it is in Postgres. The caller measures its own clock before and after, and so knows the offset and how far it
/// may be wrong.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn read(connection: &mut AsyncPgConnection) -> Result<DatabaseTime, StoreError> {
    let now: DateTime<Utc> = ReadClock {}.get_result(connection).await.during("read the database clock")?;
    Ok(DatabaseTime::from_utc(now))
}
