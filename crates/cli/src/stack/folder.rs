//! The `.run/` folder: where everything a stack writes is.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Paths inside a stack's folder.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The dev stack's folder beneath the current directory, made when it is not there.
    pub(crate) fn create() -> anyhow::Result<Self> {
        Self::create_at(Self::of_this_directory()?)
    }

    /// The dev stack's folder beneath the current directory; `None` when no stack was ever started here.
    pub(crate) fn find() -> anyhow::Result<Option<Self>> {
        let root = Self::of_this_directory()?;
        Ok(root.is_dir().then_some(Self(root)))
    }

    /// The folder at this path, made when it is not there.
    pub(crate) fn create_at(root: PathBuf) -> anyhow::Result<Self> {
        let folder = Self(root);
        for path in [folder.flags(), folder.logs(), folder.pids(), folder.births()] {
            fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        }
        Ok(folder)
    }

    /// The folder at this path, which must be there.
    pub(crate) fn existing(root: PathBuf) -> anyhow::Result<Self> {
        anyhow::ensure!(root.is_dir(), "{} is not there", root.display());
        Ok(Self(root))
    }

    fn of_this_directory() -> anyhow::Result<PathBuf> {
        Ok(std::env::current_dir().context("the current directory cannot be read")?.join(".run"))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The dev ConfigMap: one file a switch.
    pub(crate) fn flags(&self) -> PathBuf {
        self.0.join("flags")
    }

    /// Logs of all processes.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Pid files of all processes.
    pub(crate) fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    /// What tells a recorded process from a later one of the same number ([`super::records`]).
    pub(crate) fn births(&self) -> PathBuf {
        self.0.join("births")
    }

    /// One process's log.
    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
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

    /// Locked by the supervisor while it lives, so that there is one.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    /// Written by the supervisor when the schema is in place and every process has been started.
    pub(crate) fn started(&self) -> PathBuf {
        self.0.join("started")
    }

    /// The last lines of a process's log, each once: a process that is started again and again repeats itself.
    pub(crate) fn log_tail(&self, process: &str) -> String {
        const LINES: usize = 15;
        let bytes = fs::read(self.log(process)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines().rev() {
            if lines.len() < LINES && !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.reverse();
        lines.join("\n")
    }

    /// Puts a file in place that only its owner can read. Readers see the old content or the new, never a part.
    pub(crate) fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
        let explain = || format!("{} cannot be written", path.display());
        let directory = path.parent().with_context(explain)?;
        // A temporary file of this kind is closed to others from the start.
        let mut file = tempfile::NamedTempFile::new_in(directory).with_context(explain)?;
        file.write_all(content.as_bytes()).with_context(explain)?;
        file.persist(path).with_context(explain)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn private_files_are_private_also_where_an_open_one_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.json");
        fs::write(&path, "old and longer").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        RunFolder::write_private(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_tail_of_a_log_is_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_at(directory.path().join(".run")).unwrap();
        assert_eq!(folder.log_tail("admin-1"), "");
        let lines: Vec<String> = (1..=40).map(|number| number.to_string()).collect();
        fs::write(folder.log("admin-1"), lines.join("\n")).unwrap();
        assert_eq!(folder.log_tail("admin-1"), lines[25..].join("\n"));
    }
}
