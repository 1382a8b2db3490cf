//! The reference for durable commits: PostgreSQL's own pgbench, one inserted row a transaction.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use url::Url;

use super::paced::Latency;
use super::programs::find;

const CLIENTS: &str = "32";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS bench_commits (id bigserial PRIMARY KEY, payload text);\n";
const INSERT: &str = "INSERT INTO bench_commits (payload) VALUES (repeat('x', 500));\n";

/// Single-row durable commits a second; `None` when pgbench is not installed.
pub(super) async fn per_second(database_url: &str, duration: Duration) -> anyhow::Result<Option<f64>> {
    let Some(pgbench) = program() else { return Ok(None) };
    run(&pgbench, database_url, TABLE, &["--transactions", "1"]).await?;
    let seconds = duration.as_secs().max(1).to_string();
    let load = ["--client", CLIENTS, "--jobs", "2", "--protocol", "prepared", "--time", &seconds];
    let text = run(&pgbench, database_url, INSERT, &load).await?;
    let line = text.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench printed no figure")?;
    let figure = line.split(' ').next().unwrap_or_default();
    Ok(Some(figure.parse().with_context(|| format!("pgbench printed {figure:?}"))?))
}

/// How long one durable row takes at a rate, from when it is sent, with one client and at random intervals; `None` when pgbench is
/// not installed or does not keep to the rate.
pub(super) async fn latency(database_url: &str, rate: u32, duration: Duration) -> anyhow::Result<Option<Latency>> {
    let Some(pgbench) = program() else { return Ok(None) };
    let logs = tempfile::tempdir().context("no temporary folder can be made")?;
    let prefix = logs.path().join("commits").display().to_string();
    let seconds = duration.as_secs().max(1);
    let least = u64::from(rate) * seconds * 9 / 10;
    let (rate, seconds) = (rate.to_string(), seconds.to_string());
    run(&pgbench, database_url, TABLE, &["--transactions", "1"]).await?;
    let load = ["--rate", &rate, "--protocol", "prepared", "--time", &seconds, "--log", "--log-prefix", &prefix];
    run(&pgbench, database_url, INSERT, &load).await?;
    let mut all = Vec::new();
    for log in std::fs::read_dir(logs.path())? {
        for line in std::fs::read_to_string(log?.path())?.lines() {
            all.push(since_sent(line).with_context(|| format!("pgbench logged {line:?}"))?);
        }
    }
    if (all.len() as u64) < least {
        eprintln!("one client did not keep to {rate} commits/s: no reference for their latency");
        return Ok(None);
    }
    Latency::of(all.into_iter()).map(Some)
}

fn program() -> Option<PathBuf> {
    let program = find("pgbench");
    if program.is_none() {
        eprintln!("pgbench is not installed: no reference for durable commits");
    }
    program
}

/// From sending to the end of the transaction that this line of pgbench's log is about: its third figure is from when it was
/// due, and its seventh how long after that it was sent, both microseconds.
fn since_sent(line: &str) -> Option<Duration> {
    let figure = |place| line.split(' ').nth(place)?.parse::<u64>().ok();
    Some(Duration::from_micros(figure(2)?.checked_sub(figure(6)?)?))
}

/// Runs a script with pgbench and answers what it printed.
async fn run(pgbench: &Path, database_url: &str, script: &str, options: &[&str]) -> anyhow::Result<String> {
    let file = tempfile::NamedTempFile::new().context("no temporary file can be made")?;
    std::fs::write(file.path(), script)?;
    // Command lines can be seen by every user of the machine. The passwords of stacks made here need no escapes.
    let mut address: Url = database_url.parse().context("the database's address is no URL")?;
    let password = address.password().unwrap_or_default().to_owned();
    address.set_password(None).ok();
    let mut command = Command::new(pgbench);
    command.arg("--no-vacuum").args(options).arg("--file").arg(file.path()).arg(address.as_str());
    command.env("PGPASSWORD", password);
    // It ends with the benchmark, also when that is interrupted.
    let output = command.kill_on_drop(true).output().await.context("pgbench cannot be run")?;
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transaction_waited_for_its_turn_is_not_counted() {
        let line = "0 12 1730 0 1795384800 123456 140";
        assert_eq!(since_sent(line), Some(Duration::from_micros(1_590)));
        assert_eq!(since_sent("0 12 1730 0 1795384800 123456"), None, "without --rate there is no seventh");
    }
}
