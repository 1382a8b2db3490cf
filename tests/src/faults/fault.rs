//! What can break.

use std::fmt;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Fault {
    /// kill -9 of a worker.
    KillWorker,
    /// kill -9 of a gateway.
    KillGateway,
    /// kill -9 of the admin service.
    KillAdmin,
    /// kill -9 of the monitoring service.
    KillMonitoring,
    /// An orderly restart of Postgres.
    RestartPostgres,
    /// kill -9 of Postgres, and its recovery.
    CrashPostgres,
    /// Every connection to Postgres is closed, and none can be made.
    CutPostgres,
    /// Connections to Postgres stay open and nothing comes through.
    PausePostgres,
    /// Everything between the services and Postgres takes long.
    SlowPostgres,
    /// FLUSHALL, while deliveries wait in the stream.
    FlushRedis,
    /// An orderly restart of Redis, which forgets everything.
    RestartRedis,
    /// kill -9 of Redis, which forgets everything.
    CrashRedis,
    /// Redis stands still.
    PauseRedis,
    /// Every connection to Redis is closed, and none can be made.
    CutRedis,
    /// Everything between the services and Redis takes long.
    SlowRedis,
    /// Receivers that never answer fill the lanes of the workers.
    HangingReceivers,
    /// Receivers whose answers are meant to do harm.
    HostileReceivers,
    /// A worker's clock is ten minutes ahead.
    ClockAhead,
    /// A worker's clock is ten minutes behind.
    ClockBehind,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::KillWorker,
        Self::KillGateway,
        Self::KillAdmin,
        Self::KillMonitoring,
        Self::RestartPostgres,
        Self::CrashPostgres,
        Self::CutPostgres,
        Self::PausePostgres,
        Self::SlowPostgres,
        Self::FlushRedis,
        Self::RestartRedis,
        Self::CrashRedis,
        Self::PauseRedis,
        Self::CutRedis,
        Self::SlowRedis,
        Self::HangingReceivers,
        Self::HostileReceivers,
        Self::ClockAhead,
        Self::ClockBehind,
    ];

    /// What loses most when it goes wrong; the short form of the suite gives these more events than the others.
    pub const CORE: [Self; 6] = [
        Self::KillWorker,
        Self::KillGateway,
        Self::FlushRedis,
        Self::CrashRedis,
        Self::RestartPostgres,
        Self::CrashPostgres,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill -9 of a worker",
            Self::KillGateway => "kill -9 of a gateway",
            Self::KillAdmin => "kill -9 of admin",
            Self::KillMonitoring => "kill -9 of monitoring",
            Self::RestartPostgres => "restart of Postgres",
            Self::CrashPostgres => "kill -9 of Postgres",
            Self::CutPostgres => "Postgres cut off",
            Self::PausePostgres => "Postgres paused",
            Self::SlowPostgres => "Postgres slow",
            Self::FlushRedis => "FLUSHALL of Redis",
            Self::RestartRedis => "restart of Redis",
            Self::CrashRedis => "kill -9 of Redis",
            Self::PauseRedis => "Redis paused",
            Self::CutRedis => "Redis cut off",
            Self::SlowRedis => "Redis slow",
            Self::HangingReceivers => "hanging receivers",
            Self::HostileReceivers => "hostile answers",
            Self::ClockAhead => "worker's clock +10 min",
            Self::ClockBehind => "worker's clock -10 min",
        }
    }

    /// Whether a process died that had requests under way or results to write: nothing else explains that one attempt
    /// arrives twice.
    #[must_use]
    pub const fn explains_repeats(self) -> bool {
        matches!(self, Self::KillWorker | Self::CrashPostgres)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.iter().collect::<BTreeSet<_>>().len());
    }
}
