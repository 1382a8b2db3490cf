use std::time::Duration;

use onering_clock::Clock;
use onering_keys::TokenDigest;
use onering_store::{Pool, admin_keys};
use onering_web::{KnownOperator, LookUpError, OperatorDirectory};

/// How long a look-up may take, waiting for a connection included. It stands before every call, and a Postgres that is frozen
/// rather than gone says nothing for as long as one waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// Admin keys as Postgres has them: a revoked one is refused at its next call.
pub(crate) fn operator_directory(pool: Pool, clock: Clock) -> impl OperatorDirectory {
    move |digest: TokenDigest| {
        let found = look_up(pool.clone(), clock.clone(), digest);
        async move { tokio::time::timeout(DEADLINE, found).await? }
    }
}

async fn look_up(pool: Pool, clock: Clock, digest: TokenDigest) -> Result<Option<KnownOperator>, LookUpError> {
    let mut connection = pool.get().await?;
    let found = admin_keys::find_by_digest(&mut connection, &digest).await?;
    let Some(key) = found.filter(|key| key.is_live(clock.now())) else { return Ok(None) };
    admin_keys::touch(&mut connection, key.admin_key_id).await?;
    Ok(Some(KnownOperator { admin_key_id: key.admin_key_id, name: key.name, role: key.role }))
}
