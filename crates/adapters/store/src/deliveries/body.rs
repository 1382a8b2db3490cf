use std::collections::HashMap;

use bytes::Bytes;
use diesel::sql_types::{Array, Binary, Integer, Uuid as SqlUuid};
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

statement! {
    /// The length stands beside a body that is stored apart, which is not read for it.
    struct BodySizes {
        ids: Vec<Uuid> => Array<SqlUuid>,
    } -> (SqlUuid, Integer) =
        "SELECT e.event_id, octet_length(e.body) FROM unnest($1) AS asked (event_id)
         JOIN webhook_events AS e ON e.event_id = asked.event_id";
}

/// How many bytes the request bodies of these events have: before as many are read as there is room for. An event that is
/// not there (any more) is left out.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn body_sizes(
    connection: &mut AsyncPgConnection,
    events: &[EventId],
) -> Result<HashMap<EventId, usize>, StoreError> {
    let query = BodySizes { ids: events.iter().map(|event| event.uuid()).collect() };
    let rows: Vec<(Uuid, i32)> = query.load(connection).await.during("read the sizes of events' bodies")?;
    let size = |bytes| usize::try_from(bytes).unwrap_or(0);
    Ok(rows.into_iter().map(|(event_id, bytes)| (EventId::from_uuid(event_id), size(bytes))).collect())
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
