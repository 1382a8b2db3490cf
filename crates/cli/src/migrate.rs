//! `onering migrate`: brings the schema up to date, once, whoever else tries at the same time.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::Migrate;
use crate::output;

/// Applies what is missing and names it.
pub(crate) async fn run(options: Migrate) -> anyhow::Result<ExitCode> {
    let config = options.database.resolve()?;
    let applied =
        onering_store::migrate::migrate(&config).await.context("the schema could not be brought up to date")?;
    if applied.is_empty() {
        output::line("schema is up to date");
    }
    for migration in applied {
        output::line(&format!("applied {migration}"));
    }
    Ok(ExitCode::SUCCESS)
}
