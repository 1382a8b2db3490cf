//! The reference for Redis: its own benchmark, one command a round trip.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use url::Url;

use super::programs::find;

/// It takes a number of commands and no time; about so many a second are done.
const COMMANDS_A_SECOND: u64 = 80_000;

/// Commands a second; `None` when redis-benchmark is not installed.
pub(super) async fn per_second(redis_url: &str, duration: Duration) -> anyhow::Result<Option<f64>> {
    let Some(program) = find("redis-benchmark") else {
        eprintln!("redis-benchmark is not installed: no reference for Redis");
        return Ok(None);
    };
    let address: Url = redis_url.parse().context("the address of Redis is no URL")?;
    let mut command = Command::new(program);
    command.arg("-h").arg(address.host_str().unwrap_or("127.0.0.1"));
    command.arg("-p").arg(address.port().unwrap_or(6379).to_string());
    let count = (COMMANDS_A_SECOND * duration.as_secs().max(1)).to_string();
    command.args(["-t", "set", "-d", "500", "-c", "50", "-n", &count, "--csv"]);
    // It ends with the benchmark, also when that is interrupted.
    let output = command.kill_on_drop(true).output().await.context("redis-benchmark cannot be run")?;
    ensure!(output.status.success(), "redis-benchmark failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    rate_in(&String::from_utf8_lossy(&output.stdout)).context("redis-benchmark printed no figure").map(Some)
}

/// The second field of the line of SET.
fn rate_in(csv: &str) -> Option<f64> {
    csv.lines().find_map(|line| line.strip_prefix("\"SET\",\"")?.split('"').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_the_table() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"85324.23\",\"0.300\"\n";
        assert_eq!(rate_in(csv), Some(85_324.23));
        assert_eq!(rate_in("WARNING"), None);
    }
}
