//! `postmaster.pid`: what a running Postgres says about itself, the way `pg_ctl` reads it.

use std::path::Path;

/// The parts of the file we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// The postmaster's process id.
    pub(crate) pid: u32,
    /// The port it listens on; absent while it starts.
    pub(crate) port: Option<u16>,
    /// Whether it accepts connections.
    pub(crate) ready: bool,
}

impl PidFile {
    /// The file in the data directory, if there is one that makes sense.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Line 1 is the pid (negative for a single-user server), line 4 the port, line 8 the state.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pid = lines.first()?.parse::<i64>().ok()?.unsigned_abs();
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            port: lines.get(3).and_then(|line| line.parse().ok()),
            ready: lines.get(7).is_some_and(|state| *state == "ready"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_ready_server() {
        let text = "1234\n/data\n1700000000\n55432\n/data\n127.0.0.1\n  5432001    32768\nready   \n";
        assert_eq!(PidFile::parse(text), Some(PidFile { pid: 1234, port: Some(55432), ready: true }));
    }

    #[test]
    fn a_file_being_written_is_not_ready() {
        assert_eq!(PidFile::parse("1234\n/data\n17"), Some(PidFile { pid: 1234, port: None, ready: false }));
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(PidFile::parse("12x4\n"), None);
        assert!(!PidFile::parse("1\n\n\n5\n\n\n\nstopping\n").unwrap().ready);
    }
}
