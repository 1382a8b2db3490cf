//! Private Postgres and Redis processes for the dev stack and for tests.
//!
//! Start at [`Postgres::start`] and [`Redis::start`]; what to start is said by [`PostgresOptions`] and [`RedisOptions`].
//! A handle owns its server: `stop` is the orderly end, `kill9` the crash, `restart` brings the same data back on the
//! same port, and dropping a handle ends its process.
//!
//! Invariants: a server listens on 127.0.0.1 only; when `start` returns, the server accepts connections; one directory
//! is served by one handle at a time (a file lock), and a server left behind by a crashed owner of that directory is
//! ended before the new one starts.
//!
//! [`HostileAnswer`] is what a receiver may do to whoever sends to it.
//!
//! [`LoggedChild`] is the process underneath, for whoever runs other programs of the stack the same way.
//!
//! Deliberately absent: installing anything (`deploy/dev/install-servers.sh` does), migrations, clients, supervision.

mod account;
mod binaries;
mod directory;
mod error;
mod hostile_answer;
mod orphan;
mod postgres;
mod process;
mod redis;

pub use error::ServerError;
pub use hostile_answer::HostileAnswer;
pub use postgres::{Auth, Durability, Postgres, PostgresOptions};
pub use process::{LoggedChild, death_signal_prefix, free_port};
pub use redis::{Redis, RedisOptions};
pub use rustix::process::Signal;
