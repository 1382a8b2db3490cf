//! [`Lua`]: a script inside Redis, called by its hash.

use deadpool_redis::redis::{Cmd, FromRedisValue, Script, cmd};

use crate::error::Fault;
use crate::link::Link;

/// Defines the instant, `now_s` and `now_us`, for scripts that need one. Time is Redis': one judge for many machines.
pub(crate) const REDIS_TIME: &str = "local time = redis.call('TIME')
local now_s, now_us = tonumber(time[1]), tonumber(time[2])
";

/// A script.
#[derive(Debug)]
pub(crate) struct Lua {
    source: String,
    hash: String,
}

impl Lua {
    pub(crate) fn new(source: String) -> Self {
        Self { hash: Script::new(&source).get_hash().to_owned(), source }
    }

    /// The beginning of a call; the number of keys, the keys and the arguments follow.
    pub(crate) fn command(&self) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash);
        command
    }

    /// Makes the call. The source travels only when Redis does not know it.
    pub(crate) async fn call<T: FromRedisValue>(&self, link: &Link, command: &Cmd) -> Result<T, Fault> {
        match link.query(command).await {
            Err(fault) if fault.has_code("NOSCRIPT") => {
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(&self.source);
                link.query::<String>(&load).await?;
                link.query(command).await
            }
            answer => answer,
        }
    }
}
