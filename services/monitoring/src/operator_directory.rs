//! Who may look: admin keys, as the store has them.

use chrono::TimeDelta;
use onering_clock::Clock;
use onering_keys::TokenDigest;
use onering_service_kit::error_chain;
use onering_store::{Pool, admin_keys};
use onering_telemetry::field;
use onering_web::{KnownOperator, LookUpError, OperatorDirectory};

use crate::sources::{ReadError, read};

/// The store notes a key's use to within this; asking more often would be in vain.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The admin keys in Postgres.
pub(crate) fn operator_directory(pool: Pool, clock: Clock) -> impl OperatorDirectory {
    move |digest| {
        let (pool, clock) = (pool.clone(), clock.clone());
        async move { look_up(&pool, &clock, digest).await.map_err(LookUpError::from) }
    }
}

async fn look_up(pool: &Pool, clock: &Clock, digest: TokenDigest) -> Result<Option<KnownOperator>, ReadError> {
    let found = read(async { admin_keys::find_by_digest(&mut *pool.get().await?, &digest).await }).await?;
    let now = clock.now();
    let Some(key) = found.filter(|key| key.is_live(now)) else { return Ok(None) };
    if key.last_used_at.is_none_or(|noted| now - noted >= NOTED_EVERY) {
        let noting = read(async { admin_keys::touch(&mut *pool.get().await?, key.admin_key_id).await });
        // Whoever may look may look, also when the note cannot be made.
        if let Err(error) = noting.await {
            tracing::warn!({ field::ERROR } = error_chain(&error), "the use of an admin key was not noted");
        }
    }
    Ok(Some(KnownOperator { admin_key_id: key.admin_key_id, name: key.name, role: key.role }))
}
