//! One struct per concern, each with the function that reads it. A value that exists is valid.

mod access;
mod alerts;
mod database;
mod flags;
mod gateway;
mod http;
mod process;
mod redis;
mod stack_ports;
mod telemetry;
mod webhooks;

pub use access::OperatorAccess;
pub(crate) use access::{monitoring_open, secrets_keys};
pub(crate) use alerts::thresholds;
pub use database::{Database, DatabaseUrl, SslMode, Tls};
pub use flags::Flags;
pub use gateway::{Limits, Routes};
pub use http::Http;
pub use process::{Process, Profile};
pub use redis::{Redis, RedisUrl};
pub use stack_ports::StackPorts;
pub use telemetry::{LogFormat, Telemetry};
pub use webhooks::Webhooks;
pub(crate) use webhooks::{breaker, failure_policy, replay_window, retention_days, schedule, worker_body_bytes};
