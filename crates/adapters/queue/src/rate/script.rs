//! [`RateScript`]: the one place that counts, a Lua script inside Redis.

use deadpool_redis::redis::Cmd;
use onering_ids::KeyId;
use onering_rate_limit::{Cost, Policy};

use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::lua::{Lua, REDIS_TIME};
use crate::names::RATE_PREFIX;
use crate::rate::answer::{TakeAnswer, read_answers, runs};

const RULES: &str = include_str!("take.lua");

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
    lua: Lua,
    link: Link,
}

impl RateScript {
    pub(crate) fn new(link: Link) -> Self {
        Self::timed_by(REDIS_TIME, link)
    }

    /// `clock` is the Lua that defines the instant; tests bring their own.
    fn timed_by(clock: &str, link: Link) -> Self {
        Self { lua: Lua::new(format!("{clock}{RULES}")), link }
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
        let numbers: Vec<i64> = self.lua.call(&self.link, &self.command(batch)).await?;
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

    fn command(&self, batch: &[TakeRequest]) -> Cmd {
        let mut command = self.lua.command();
        command.arg(batch.len());
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
