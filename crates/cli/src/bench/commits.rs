//! The reference for durable commits: PostgreSQL's own pgbench, one inserted row a transaction.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

const CLIENTS: &str = "32";

/// Single-row durable commits a second; `None` when pgbench is not installed.
pub(super) async fn per_second(database_url: &str, duration: Duration) -> anyhow::Result<Option<f64>> {
    let Some(pgbench) = find("pgbench") else { return Ok(None) };
    let psql = find("psql").context("psql is not installed")?;
    let table = Command::new(psql)
        .args([database_url, "--quiet", "--command"])
        .arg("CREATE TABLE IF NOT EXISTS bench_commits (id bigserial PRIMARY KEY, payload text)")
        .stderr(Stdio::null())
        .status()
        .await?;
    if !table.success() {
        bail!("the table of the commit reference cannot be made");
    }
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), "INSERT INTO bench_commits (payload) VALUES (repeat('x', 500));\n")?;
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--client", CLIENTS, "--jobs", "2", "--protocol", "prepared", "--time"])
        .arg(duration.as_secs().max(1).to_string())
        .arg("--file")
        .arg(script.path())
        .arg(database_url)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench printed no figure")?;
    let figure = line.split(' ').next().unwrap_or_default();
    Ok(Some(figure.parse().with_context(|| format!("pgbench printed {figure:?}"))?))
}

/// A client program of PostgreSQL, on the search path or where Debian keeps them.
#[expect(clippy::disallowed_methods, reason = "the search path is where programs are looked for")]
fn find(program: &str) -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    on_path.chain(versions).map(|folder| folder.join(program)).find(|path| path.is_file())
}
