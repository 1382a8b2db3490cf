//! What kind of Postgres to start.

use std::path::PathBuf;
use std::time::Duration;

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the loss of power: `fsync` and `synchronous_commit` on.
    Durable,
    /// Survives a killed process but not the loss of power: `fsync` off. For tests.
    ProcessCrashOnly,
}

/// Who may connect, from loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Whoever knows the random password in the directory's `password` file (SCRAM).
    Password,
    /// Everybody on this machine. For throw-away clusters.
    Trust,
}

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(crate) dir: PathBuf,
    pub(crate) port: Option<u16>,
    pub(crate) durability: Durability,
    pub(crate) auth: Auth,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) tools: Option<PathBuf>,
    pub(crate) deadline: Duration,
    pub(crate) dies_with_parent: bool,
    pub(crate) wrapper: Option<Vec<String>>,
}

impl PostgresOptions {
    /// A database to keep, as in the dev stack: durable, with a password.
    pub fn durable(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: None,
            durability: Durability::Durable,
            auth: Auth::Password,
            settings: Vec::new(),
            tools: None,
            deadline: Duration::from_secs(60),
            dies_with_parent: false,
            wrapper: None,
        }
    }

    /// A database for a test: quick, open to this machine.
    pub fn throw_away(dir: impl Into<PathBuf>) -> Self {
        Self { durability: Durability::ProcessCrashOnly, auth: Auth::Trust, ..Self::durable(dir) }
    }

    /// Listens on this port. Default: a free one, kept over restarts.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Chooses what a commit promises.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// One more setting of `postgresql.conf`; wins over ours.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where packages were unpacked by `install-servers.sh`; looked in last.
    #[must_use]
    pub fn tools(mut self, dir: impl Into<PathBuf>) -> Self {
        self.tools = Some(dir.into());
        self
    }

    /// How long `start` waits until connections are accepted. Default: 60 s (crash recovery takes a while).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The server ends when this process does, even when it is killed (where `setpriv` exists: Linux).
    #[must_use]
    pub fn dies_with_parent(mut self) -> Self {
        self.dies_with_parent = true;
        self
    }

    /// Starts the server as a child of this program, which gets the server's command line appended to its arguments
    /// and runs in a process group of its own. With [`super::Postgres::detach`] the wrapper outlives this process.
    #[must_use]
    pub fn under(mut self, wrapper: Vec<String>) -> Self {
        self.wrapper = Some(wrapper);
        self
    }

    /// The settings given on the command line, ours first.
    pub(crate) fn effective_settings(&self) -> Vec<(String, String)> {
        let ours: &[(&str, &str)] = match self.durability {
            Durability::Durable => &[("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")],
            Durability::ProcessCrashOnly => &[
                ("fsync", "off"),
                // A commit without this is lost with the process, and tests kill it.
                ("synchronous_commit", "on"),
                ("full_page_writes", "off"),
                ("wal_level", "minimal"),
                ("max_wal_senders", "0"),
                ("checkpoint_timeout", "30min"),
            ],
        };
        let common = [
            ("listen_addresses", "127.0.0.1"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("logging_collector", "off"),
        ];
        let ours = common.iter().chain(ours).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ours.chain(self.settings.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_setting_comes_last_and_so_wins() {
        let options = PostgresOptions::durable("/x").setting("fsync", "off");
        let fsync: Vec<_> = options
            .effective_settings()
            .into_iter()
            .filter(|(name, _)| name == "fsync")
            .map(|(_, value)| value)
            .collect();
        assert_eq!(fsync, ["on", "off"]);
    }
}
