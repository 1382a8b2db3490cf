//! Servers of one test, which it may kill.

use std::ops::{Deref, DerefMut};

use onering_dev_servers::{Postgres, PostgresOptions, Redis, RedisOptions};

use crate::run_directory::{ScratchDir, scratch_dir, tools_directory};

/// A Redis of one test: an empty one that forgets. Ends with the test, also when that is killed.
///
/// Everything [`Redis`] can do can be done: `kill9`, `restart`, `freeze`, `thaw`.
#[derive(Debug)]
pub struct TestRedis {
    server: Redis,
    // After the server, which writes there until it ends.
    _scratch: ScratchDir,
}

impl Deref for TestRedis {
    type Target = Redis;
    fn deref(&self) -> &Redis {
        &self.server
    }
}

impl DerefMut for TestRedis {
    fn deref_mut(&mut self) -> &mut Redis {
        &mut self.server
    }
}

/// Starts a Redis for this test.
///
/// # Panics
/// When there is no Redis; the message says what to do.
pub async fn redis() -> TestRedis {
    let scratch = scratch_dir("redis");
    let options = RedisOptions::throw_away(scratch.path()).tools(tools_directory()).dies_with_parent();
    let server = Redis::start(options).await.unwrap_or_else(|error| panic!("tests need Redis: {error}"));
    TestRedis { server, _scratch: scratch }
}

/// A Postgres of one test. Ends with the test, also when that is killed.
///
/// Everything [`Postgres`] can do can be done: `kill9`, `stop`, `restart`.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Taken by `drop`, which consumes it.
    server: Option<Postgres>,
    _scratch: ScratchDir,
}

impl Deref for PrivatePostgres {
    type Target = Postgres;
    fn deref(&self) -> &Postgres {
        self.server.as_ref().expect("the server is there until drop")
    }
}

impl DerefMut for PrivatePostgres {
    fn deref_mut(&mut self) -> &mut Postgres {
        self.server.as_mut().expect("the server is there until drop")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.destroy();
        }
    }
}

/// Starts a Postgres for this test alone, to be crashed and brought back. What is committed survives `kill9`.
/// Takes about half a second; a test that only needs a database takes [`crate::postgres`].
///
/// # Panics
/// When there is no Postgres; the message says what to do.
pub async fn private_postgres() -> PrivatePostgres {
    let scratch = scratch_dir("postgres");
    let options =
        PostgresOptions::throw_away(scratch.path().join("server")).tools(tools_directory()).dies_with_parent();
    let server = Postgres::start(options).await.unwrap_or_else(|error| panic!("this test needs Postgres: {error}"));
    PrivatePostgres { server: Some(server), _scratch: scratch }
}
