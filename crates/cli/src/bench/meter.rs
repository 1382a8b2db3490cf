//! What an amount of work costs: processor time by process, and what Postgres and Redis count themselves.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use onering_clock::Clock;
use onering_queue::Queue;
use onering_store::{AsyncPgConnection, PoolConfig, server_counters};

use super::private_stack::{Addresses, PrivateStack};
use super::report::Report;
use super::resources::ProcessorTimes;

/// A connection that rests tells Postgres of its last transactions after ten seconds.
const UNTOLD: Duration = Duration::from_secs(11);
/// Everything that belongs to the platform.
const SERVICES: [&str; 4] = [GATEWAY, WORKER, "admin-1", "monitoring-1"];

/// Names of processes of the stack.
pub(super) const GATEWAY: &str = "api-gateway-1";
pub(super) const WORKER: &str = "delivery-worker-1";
const POSTGRES: &str = "postgres";
const REDIS: &str = "redis";

/// Reads what has been used so far.
pub(super) struct Meter {
    pids: Pids,
    database: AsyncPgConnection,
    queue: Queue,
    /// When something was last asked of the platform.
    last_work: Instant,
}

struct Pids {
    gateway: i32,
    worker: i32,
    services: Vec<i32>,
    postgres: i32,
    redis: i32,
}

/// Everything at one moment, save the transactions.
pub(super) struct Reading {
    gateway: Duration,
    worker: Duration,
    services: Duration,
    postgres: Duration,
    redis: Duration,
    receiver: Duration,
    load: Duration,
    wal_bytes: u64,
    commands: u64,
    commands_of_scripts: u64,
}

impl Meter {
    /// Of a started stack.
    pub(super) async fn new(stack: &PrivateStack, addresses: &Addresses) -> anyhow::Result<Self> {
        let pid = |name: &str| stack.pid(name).with_context(|| format!("{name} does not run"));
        let pids = Pids {
            gateway: pid(GATEWAY)?,
            worker: pid(WORKER)?,
            services: SERVICES.into_iter().map(pid).collect::<anyhow::Result<_>>()?,
            postgres: pid(POSTGRES)?,
            redis: pid(REDIS)?,
        };
        let database = onering_store::connect(&PoolConfig::new(&addresses.stores.database_url)?).await?;
        let queue = Queue::connect_to(&addresses.stores.redis_url, Clock::system())?;
        Ok(Self { pids, database, queue, last_work: Clock::system().monotonic() })
    }

    /// The gateway's and the worker's processes.
    pub(super) const fn hot_pids(&self) -> (i32, i32) {
        (self.pids.gateway, self.pids.worker)
    }

    /// Notes that the platform was given work until now.
    pub(super) fn worked(&mut self) {
        self.last_work = Clock::system().monotonic();
    }

    /// Transactions so far, once every connection has told of its own.
    pub(super) async fn transactions(&mut self) -> anyhow::Result<u64> {
        tokio::time::sleep_until((self.last_work + UNTOLD).into()).await;
        Ok(server_counters::read(&mut self.database).await?.transactions)
    }

    /// Everything else at this moment; `receiver` is the process that webhooks go to.
    pub(super) async fn read(&mut self, receiver: i32) -> anyhow::Result<Reading> {
        let times = ProcessorTimes::read();
        let counters = server_counters::read(&mut self.database).await?;
        let redis = self.queue.server_counters().await?;
        Ok(Reading {
            gateway: times.of_family(self.pids.gateway),
            worker: times.of_family(self.pids.worker),
            services: self.pids.services.iter().map(|pid| times.of_family(*pid)).sum(),
            postgres: times.of_family(self.pids.postgres),
            redis: times.of_family(self.pids.redis),
            receiver: times.of_family(receiver),
            load: times.of_process(std::process::id().cast_signed()),
            wal_bytes: counters.wal_bytes,
            commands: redis.commands,
            commands_of_scripts: redis.commands_of_scripts,
        })
    }
}

impl Reading {
    /// Adds what one of so many events has used since the other reading. `names` says into what they were delivered.
    pub(super) fn report_since(&self, before: &Self, events: u64, into: &str, report: &mut Report) {
        let events = events as f64;
        let microseconds = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e6 / events;
        let platform =
            microseconds(self.services + self.postgres + self.redis, before.services + before.postgres + before.redis);
        report.add(format!("CPU an event{into}: platform, Postgres and Redis"), "µs", platform);
        for (who, now, then) in [
            ("gateway", self.gateway, before.gateway),
            ("worker", self.worker, before.worker),
            ("Postgres", self.postgres, before.postgres),
            ("Redis", self.redis, before.redis),
            ("receiver (not the platform's)", self.receiver, before.receiver),
            ("load generator (not the platform's)", self.load, before.load),
        ] {
            report.add(format!("CPU an event{into}: {who}"), "µs", microseconds(now, then));
        }
        let count = |now: u64, then: u64| now.saturating_sub(then) as f64 / events;
        report.add(format!("WAL an event{into}"), "bytes", count(self.wal_bytes, before.wal_bytes));
        report.add(format!("Redis commands an event{into}"), "", count(self.commands, before.commands));
        let of_scripts = count(self.commands_of_scripts, before.commands_of_scripts);
        report.add(
            format!("Redis commands an event{into}, without those inside scripts"),
            "",
            count(self.commands, before.commands) - of_scripts,
        );
    }
}
