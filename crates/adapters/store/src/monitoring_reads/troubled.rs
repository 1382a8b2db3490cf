//! Subscriptions that are in trouble, by the indexes of the few that are.

use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::statement::statement;
use crate::{Context, StoreError};

/// How many subscriptions are in trouble, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TroubledSubscriptions {
    /// Active ones that have failed for so long that their partners were warned.
    pub failing: u64,
    /// Those the platform disabled in the last 24 hours, and which still are.
    pub disabled: u64,
}

statement! {
    pub(super) struct Troubled {} -> (BigInt, BigInt) = "
        SELECT (SELECT count(*) FROM external_webhooks
                WHERE failing_since IS NOT NULL AND failure_warnings > 0 AND status = 'active' AND deleted_at IS NULL),
               (SELECT count(*) FROM external_webhooks
                WHERE disabled_at >= now() - interval '24 hours' AND disabled_by = 'platform' AND deleted_at IS NULL)";
}

/// Counts them.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn troubled_subscriptions(conn: &mut AsyncPgConnection) -> Result<TroubledSubscriptions, StoreError> {
    let (failing, disabled): (i64, i64) =
        Troubled {}.get_result(conn).await.during("count subscriptions in trouble")?;
    Ok(TroubledSubscriptions { failing: failing.unsigned_abs(), disabled: disabled.unsigned_abs() })
}
