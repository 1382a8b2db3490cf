//! A stack's own admin key: made once, made anew when the database does not know it.

use anyhow::Context as _;
use onering_clock::Clock;
use onering_keys::{AdminToken, Role};
use onering_store::{PoolConfig, admin_keys};

/// An admin key that works: the one of an earlier start, or a new one.
pub(crate) async fn admin_key(database_url: &str, of_earlier_start: Option<&str>) -> anyhow::Result<AdminToken> {
    let config = PoolConfig::new(database_url).context("DATABASE_URL")?;
    let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
    let clock = Clock::system();
    if let Some(token) = of_earlier_start.and_then(|text| AdminToken::parse(text).ok())
        && let Some(known) = admin_keys::find_by_digest(&mut connection, &token.digest()).await?
        && known.is_live(clock.now())
    {
        return Ok(token);
    }
    let token = AdminToken::from_entropy(clock.entropy32());
    let key = admin_keys::NewAdminKey {
        admin_key_id: clock.fresh_id(),
        name: "dev stack".to_owned(),
        role: Role::Admin,
        digest: token.digest(),
        expires_at: None,
        created_by: "onering up".to_owned(),
    };
    admin_keys::create(&mut connection, key).await.context("the admin key cannot be stored")?;
    Ok(token)
}
