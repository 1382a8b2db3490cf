//! The `.run/` folder: where everything the stack writes is.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Paths inside the stack's folder.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The stack's folder beneath the current directory, made when it is not there.
    pub(crate) fn open() -> anyhow::Result<Self> {
        Self::at(std::env::current_dir().context("the current directory cannot be read")?.join(".run"))
    }

    /// The folder at this path, made when it is not there.
    pub(crate) fn at(root: PathBuf) -> anyhow::Result<Self> {
        let folder = Self(root);
        for path in [folder.flags(), folder.logs(), folder.pids()] {
            fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn flags(&self) -> PathBuf {
        self.0.join("flags")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(crate) fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    pub(crate) fn pid_file(&self, process: &str) -> PathBuf {
        self.pids().join(format!("{process}.pid"))
    }

    /// What the supervisor runs.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("stack.json")
    }

    /// Variables for scripts to source.
    pub(crate) fn dev_env(&self) -> PathBuf {
        self.0.join("dev.env")
    }

    /// The dev stack's own secrets, made once.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.0.join("secrets.json")
    }

    /// Where the stores answer, with their passwords.
    pub(crate) fn stores(&self) -> PathBuf {
        self.0.join("stores.json")
    }

    /// The gateway's route table.
    pub(crate) fn routes(&self) -> PathBuf {
        self.0.join("routes.toml")
    }

    /// Written by the supervisor when the schema is in place and every process has been started.
    pub(crate) fn started(&self) -> PathBuf {
        self.0.join("started")
    }

    /// The process id in a pid file; `None` when there is no such file or no such process.
    pub(crate) fn live_pid(&self, process: &str) -> Option<i32> {
        let pid: i32 = fs::read_to_string(self.pid_file(process)).ok()?.trim().parse().ok()?;
        is_alive(pid).then_some(pid)
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        file.write_all(content.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// Whether a process of this id exists and is not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return rustix::process::Pid::from_raw(pid)
            .is_some_and(|pid| !Path::new("/proc/self").exists() && rustix::process::test_kill_process(pid).is_ok());
    };
    // The state letter follows the command name, which is in parentheses and may itself contain some.
    stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z'))
}
