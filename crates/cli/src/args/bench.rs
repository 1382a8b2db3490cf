//! Measurements.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use onering_ids::SubscriptionId;

use super::access::DatabaseAccess;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) what: Option<SpecialBench>,
    #[command(flatten)]
    pub(crate) table: TableBench,
}

#[derive(Args)]
pub(crate) struct TableBench {
    /// How often each measurement is repeated; medians are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) repeat: u16,
    /// Seconds of load in each measurement
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) seconds: u16,
    /// Concurrent connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Only these, with commas between
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Scenario>,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Also write the table to this file
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
}

impl TableBench {
    /// What a benchmark that is not part of the table measures on.
    pub(crate) const fn of(seconds: u16, connections: u16) -> Self {
        Self { repeat: 1, seconds, connections, only: Vec::new(), json: None, markdown: None }
    }
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// What the machine, Postgres and Redis do without the platform
    References,
    /// Events accepted and delivered under full load, and what one costs
    E2e,
    /// One event to ten subscriptions
    FanOut,
    /// Events accepted while nothing is sent, and how fast what has gathered goes out
    Ingest,
    /// How long events take at 100, 300 and 3,000 a second
    Latency,
    /// The access decision beside bare answers
    Decisions,
    /// A product route beside nginx
    Forwarding,
    /// Start and memory of each service
    Start,
}

impl Scenario {
    /// In the order they are measured.
    pub(crate) const ALL: [Self; 8] = [
        Self::References,
        Self::E2e,
        Self::FanOut,
        Self::Ingest,
        Self::Latency,
        Self::Decisions,
        Self::Forwarding,
        Self::Start,
    ];

    /// As it is typed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::References => "references",
            Self::E2e => "e2e",
            Self::FanOut => "fan-out",
            Self::Ingest => "ingest",
            Self::Latency => "latency",
            Self::Decisions => "decisions",
            Self::Forwarding => "forwarding",
            Self::Start => "start",
        }
    }

    /// Whether it has webhooks sent.
    pub(crate) const fn delivers(&self) -> bool {
        matches!(self, Self::E2e | Self::FanOut | Self::Ingest | Self::Latency)
    }
}

#[derive(Args)]
pub(crate) struct BenchBare {
    /// Port on 127.0.0.1
    #[arg(long)]
    pub(crate) port: u16,
    /// Length of the constant answer
    #[arg(long)]
    pub(crate) body_bytes: usize,
    /// Length of a header that means nothing; none when 0
    #[arg(long)]
    pub(crate) header_bytes: usize,
}

/// A benchmark that is not part of the table.
#[derive(Subcommand)]
pub(crate) enum SpecialBench {
    /// How much a hanging and a flooded receiver delay the events of others
    Isolation(IsolationBench),
    /// What a receiver that is down for minutes is asked, and how long its events take once it is back
    Breaker(BreakerBench),
    /// What a worker's memory does beside receivers that answer with malice
    Hostile(HostileBench),
    /// What large tables cost: the same stack with empty tables and with millions of deliveries in them
    Growth(GrowthBench),
    /// How fast a backlog goes out when delivery is on again, and what live events take meanwhile
    Backlog(BacklogBench),
    /// Fill a migrated database with the past of a platform in use; measures nothing else
    Seed(SeedBench),
}

#[derive(Args)]
pub(crate) struct IsolationBench {
    /// How often it is repeated; medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) repeat: u16,
    /// Seconds of load alone, and as many beside the others
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) seconds: u16,
    /// Events a second to the flooded receiver
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(10..))]
    pub(crate) flood: u16,
    /// The flood comes in requests of so many events, over one connection
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) burst: u16,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BreakerBench {
    /// Seconds the receiver is down
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    pub(crate) seconds: u16,
    /// Events a second meanwhile
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) rate: u16,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct HostileBench {
    /// Seconds of load
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub(crate) seconds: u32,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SeedBench {
    /// Deliveries, nearly all of them over, with their events and attempts
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) deliveries: u64,
    /// Subscriptions; they have no secret, so nothing is ever sent to them
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) subscriptions: u64,
    /// Partners that have them; a tenth of the subscriptions when left out
    #[arg(long)]
    pub(crate) partners: Option<u64>,
    /// Days until now that the deliveries are spread over; workers drop those past ONERING_RETENTION_DAYS
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub(crate) days: u16,
    /// Further deliveries of the last minute that wait for their first attempt, due in a month
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) pending: u64,
    /// What --pending makes goes to this subscription, which is there
    #[arg(long, requires = "pending")]
    pub(crate) webhook: Option<SubscriptionId>,
    /// What --pending makes is due at once: workers send it
    #[arg(long, requires = "webhook")]
    pub(crate) due: bool,
    /// Add to what is there, instead of refusing a database that has events
    #[arg(long)]
    pub(crate) add: bool,
    /// Everything is made up from this number; another one each time when left out
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
}

#[derive(Args)]
pub(crate) struct GrowthBench {
    /// Deliveries in the full tables: a million takes less than a gigabyte of disk
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub(crate) deliveries: u64,
    /// Subscriptions in them
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) subscriptions: u64,
    /// How often each load is repeated; medians are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) repeat: u16,
    /// Seconds of each load
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) seconds: u16,
    /// Concurrent connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BacklogBench {
    /// Events that wait while delivery is off
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=20_000_000))]
    pub(crate) backlog: u32,
    /// How often the live rate is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) repeat: u16,
    /// Seconds of each load
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) seconds: u16,
    /// Concurrent connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}
