//! `onering migrate`: brings the schema up to date, once, whoever else tries at the same time.

use std::process::ExitCode;

use anyhow::Context as _;
use onering_store::PoolConfig;

use crate::args::Migrate;

/// Applies what is missing and names it.
pub(crate) async fn run(options: Migrate) -> anyhow::Result<ExitCode> {
    let config = PoolConfig::new(&options.database.resolve()?).context("DATABASE_URL")?;
    let applied =
        onering_store::migrate::migrate(&config).await.context("the schema could not be brought up to date")?;
    if applied.is_empty() {
        println!("schema is up to date");
    }
    for migration in applied {
        println!("applied {migration}");
    }
    Ok(ExitCode::SUCCESS)
}
