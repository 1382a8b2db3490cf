//! Faults on purpose.

use clap::{Args, ValueEnum};
use url::Url;

use super::OperatorAccess;

#[derive(Args)]
pub(crate) struct Drill {
    /// What breaks
    #[arg(value_enum)]
    pub(crate) fault: DrillFault,
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Events published, the fault after a third of them
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(30..=100_000))]
    pub(crate) events: u32,
    /// Events a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rate: u32,
    /// How long deliveries may take to settle after the last event, in seconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) patience: u32,
    /// Where the platform reaches the receiver that this command runs; 127.0.0.1 when left out
    #[arg(long)]
    pub(crate) receiver_url: Option<Url>,
    /// The receiver's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) receiver_port: u16,
    /// The Redis that flush-redis empties; REDIS_URL, or the dev stack's, when left out
    #[arg(long)]
    pub(crate) redis_url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A fault that a platform in use must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrillFault {
    /// kill -9 of a delivery worker of the dev stack
    KillWorker,
    /// FLUSHDB of the platform's Redis
    FlushRedis,
    /// The receiver takes three seconds for each request, for a while
    SlowReceiver,
    /// The receiver answers 503, for a while
    #[value(name = "receiver-5xx")]
    Receiver5xx,
    /// Two more workers in the dev stack, one ten minutes ahead, one ten minutes behind
    ClockSkew,
}

impl DrillFault {
    /// As it is typed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::FlushRedis => "flush-redis",
            Self::SlowReceiver => "slow-receiver",
            Self::Receiver5xx => "receiver-5xx",
            Self::ClockSkew => "clock-skew",
        }
    }
}
