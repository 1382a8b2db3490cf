use std::collections::HashMap;

use bytes::Bytes;
use diesel::sql_types::{Array, Binary, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::EventId;
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    struct EventBodies {
        ids: Vec<Uuid> => Array<SqlUuid>,
    } -> (SqlUuid, Binary) =
        "SELECT e.event_id, e.body FROM unnest($1) AS asked (event_id) JOIN webhook_events AS e ON e.event_id = asked.event_id";
}

/// Reads the request bodies of events that were too large to travel with their stream entries. An event that is not there
/// (any more) is left out.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn event_bodies(
    connection: &mut AsyncPgConnection,
    events: &[EventId],
) -> Result<HashMap<EventId, Bytes>, StoreError> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let query = EventBodies { ids: events.iter().map(|event| event.uuid()).collect() };
    let rows: Vec<(Uuid, Vec<u8>)> = query.load(connection).await.during("read events' bodies")?;
    Ok(rows.into_iter().map(|(event_id, body)| (EventId::from_uuid(event_id), body.into())).collect())
}
