//! The dev stack's own admin key: made once, kept in `.run/dev.env`, made anew when the database does not know it.

use std::fs;

use anyhow::Context as _;
use onering_clock::Clock;
use onering_keys::{AdminToken, Role};
use onering_store::{PoolConfig, admin_keys};

use super::folder::RunFolder;

/// An admin key that works: the one of an earlier start, or a new one.
pub(crate) async fn ensure(folder: &RunFolder, database_url: &str) -> anyhow::Result<AdminToken> {
    let config = PoolConfig::new(database_url)?;
    let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
    if let Some(token) = from_earlier_start(folder)
        && admin_keys::find_by_digest(&mut connection, &token.digest()).await?.is_some()
    {
        return Ok(token);
    }
    let clock = Clock::system();
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

fn from_earlier_start(folder: &RunFolder) -> Option<AdminToken> {
    let text = fs::read_to_string(folder.dev_env()).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("ONERING_ADMIN_KEY="))?;
    AdminToken::parse(line.trim()).ok()
}
