//! [`RateScript`]: the one place that counts, a Lua script inside Redis.

use deadpool_redis::redis::{Cmd, Script, cmd};
use onering_ids::KeyId;
use onering_rate_limit::{Cost, Policy};

use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::names::RATE_PREFIX;
use crate::rate::answer::{TakeAnswer, read_answers, runs};

const RULES: &str = include_str!("take.lua");

/// Time is Redis': one judge for many machines.
const REDIS_TIME: &str = "local time = redis.call('TIME')
local now_s, now_us = tonumber(time[1]), tonumber(time[2])
";

/// The largest count Lua's numbers hold exactly. A limit above it is as good as none.
const LUA_EXACT: u64 = 1 << 53;

/// What is asked of one key: its requests in the order they arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeRequest {
    /// Whose limit.
    pub key: KeyId,
    /// How much it may take.
    pub policy: Policy,
    /// What each request costs.
    pub costs: Vec<Cost>,
}

/// The script's answer to a whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Redis' clock at the time, in Unix milliseconds.
    pub now_unix_ms: u64,
    /// One answer for each request of the batch, in its order.
    pub answers: Vec<TakeAnswer>,
}

/// The script and the connection it is sent on.
pub struct RateScript {
    source: String,
    hash: String,
    link: Link,
}

impl RateScript {
    pub(crate) fn new(link: Link) -> Self {
        Self::timed_by(REDIS_TIME, link)
    }

    /// `clock` is the Lua that defines the instant; tests bring their own.
    fn timed_by(clock: &str, link: Link) -> Self {
        let source = format!("{clock}{RULES}");
        Self { hash: Script::new(&source).get_hash().to_owned(), source, link }
    }

    /// Takes for many keys in one call; the whole batch happens at one instant. The same key may come more than once.
    /// An empty batch takes nothing and tells Redis' time.
    ///
    /// # Errors
    /// [`QueueError::Take`]. Whether the requests were counted is then unknown.
    pub async fn take(&self, batch: &[TakeRequest]) -> Result<Taken, QueueError> {
        self.call(batch).await.map_err(|source| QueueError::Take { keys: batch.len(), source })
    }

    pub(crate) async fn call(&self, batch: &[TakeRequest]) -> Result<Taken, Fault> {
        let command = self.command(batch);
        let numbers: Vec<i64> = match self.link.query(&command).await {
            Err(fault) if fault.has_code("NOSCRIPT") => {
                self.load().await?;
                self.link.query(&command).await?
            }
            answer => answer?,
        };
        read_answers(&numbers, batch)
    }

    /// Opens the connection, so that the first request need not wait for it.
    pub(crate) async fn connect(&self) -> Result<(), Fault> {
        self.link.connect().await
    }

    /// Gives the connection up; the next call opens another.
    pub(crate) fn forget_connection(&self) {
        self.link.forget();
    }

    async fn load(&self) -> Result<(), Fault> {
        let mut command = cmd("SCRIPT");
        command.arg("LOAD").arg(&self.source);
        self.link.query::<String>(&command).await.map(drop)
    }

    fn command(&self, batch: &[TakeRequest]) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash).arg(batch.len());
        for request in batch {
            command.arg(format!("{RATE_PREFIX}{}", request.key.uuid()));
        }
        for request in batch {
            let per_second = request.policy.burst_per_second.map_or(-1, |burst| burst.min(LUA_EXACT) as i64);
            command.arg(request.policy.hourly.min(LUA_EXACT)).arg(per_second).arg(runs(&request.costs).count());
            for (cost, asked) in runs(&request.costs) {
                command.arg(cost.0).arg(asked);
            }
        }
        command
    }
}

#[cfg(test)]
mod tests;
