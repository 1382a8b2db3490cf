//! What can go wrong with a private server, and what a person can do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No binary of this server on the machine.
    #[error("{server} not found ({searched}): run `make up`, which installs it, or set {variable}")]
    NotFound {
        /// `Postgres` or `Redis`.
        server: &'static str,
        /// Where it was looked for.
        searched: String,
        /// The variable that makes an own server unnecessary.
        variable: &'static str,
    },
    /// Postgres refuses to run as root and there is no other account to run it as.
    #[error(
        "Postgres does not run as root, and /etc/passwd has neither `postgres` nor `nobody`: create one, or run as another user"
    )]
    NoAccount,
    /// A file or process operation failed.
    #[error("could not {operation} {}", path.display())]
    Io {
        /// What was tried, as in "create the directory".
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The fallback directory exists and is not ours.
    #[error("{} belongs to somebody else or is a link: remove it, or use another data directory", path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Another live process serves this directory.
    #[error("{} is in use by another running stack: stop that one first (`make down`)", dir.display())]
    InUse {
        /// The server's directory.
        dir: PathBuf,
    },
    /// A server left over in this directory did not end.
    #[error("the {server} left running in {} (pid {pid}) does not end: kill it", dir.display())]
    OrphanRemains {
        /// `Postgres` or `Redis`.
        server: &'static str,
        /// Its data directory.
        dir: PathBuf,
        /// Its process id.
        pid: u32,
    },
    /// `initdb` refused.
    #[error("initdb failed for {} ({status}):\n{output}", data.display())]
    InitDb {
        /// The data directory.
        data: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// The port asked for is taken.
    #[error("port {port}, wanted by {server}, is taken: stop what listens there, or choose another port")]
    PortTaken {
        /// `Postgres` or `Redis`.
        server: &'static str,
        /// The port.
        port: u16,
    },
    /// The server ended while starting.
    #[error("{server} ended while starting ({status}); {} ends with:\n{tail}", log.display())]
    Ended {
        /// `Postgres` or `Redis`.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server did not accept connections in time.
    #[error("{server} does not accept connections after {after:?}; {} ends with:\n{tail}", log.display())]
    NotReady {
        /// `Postgres` or `Redis`.
        server: &'static str,
        /// How long was waited.
        after: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
}

impl ServerError {
    /// Adapter for `map_err`: an I/O error with what was being done and to what.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}
