//! What tests of this workspace share: private Postgres and Redis, a recording webhook receiver, a faulty network, real
//! service processes, and waiting for a condition instead of sleeping.
//!
//! Entry points: [`postgres`], [`postgres_from`], [`redis`], [`private_postgres`], [`Receiver`], [`TcpProxy`],
//! [`ServiceProcess`], [`metric`], [`eventually`], [`free_port`].
//!
//! Every test is a process of its own (`cargo nextest`). One Postgres serves all of them: the first that needs it
//! starts it under a keeper (`keeper.sh`), every test process holds a lease (a file lock) while it lives, and the
//! keeper ends the server when there was no lease for a minute. Each test has its own database in it. Redis is cheap
//! enough to be private to each test.
//!
//! Failure is a panic with a sentence: these functions are called by tests only. Deliberately absent: fakes and mocks.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test helper fails its test by panicking, prints what explains it, and measures real time"
)]

mod database;
mod eventually;
mod http_client;
mod metrics;
mod ports;
mod private_servers;
mod receiver;
mod run_directory;
mod service_process;
mod shared_postgres;
mod tcp_proxy;
mod template;

pub use database::{TestDatabase, postgres, postgres_from};
pub use eventually::{Attempt, eventually};
pub use http_client::http_client;
pub use metrics::metric;
pub use ports::free_port;
pub use private_servers::{PrivatePostgres, TestRedis, private_postgres, redis};
pub use receiver::{Received, Receiver, Reply};
pub use run_directory::{ScratchDir, scratch_dir};
pub use service_process::{ServiceOptions, ServiceProcess, binary_path};
pub use tcp_proxy::TcpProxy;
pub use template::Template;
