//! Which processes belong to a stack: pid files, and for each the birth of the process it names.
//!
//! A number alone proves nothing: after a crash, or in a new container, it may be anybody's, and ending a stranger is worse
//! than leaving an orphan. So the birth (on Linux: which boot, and when after it) is recorded beside the number, and only a
//! process of both is ours.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::folder::RunFolder;

/// The records of one stack.
#[derive(Debug, Clone)]
pub(crate) struct ProcessRecords {
    folder: RunFolder,
}

impl ProcessRecords {
    /// The records kept in a stack's folder.
    pub(crate) fn of(folder: &RunFolder) -> Self {
        Self { folder: folder.clone() }
    }

    /// Notes that this process was started as `name`.
    pub(crate) fn write(&self, name: &str, pid: u32) -> anyhow::Result<()> {
        let pid_file = self.pid_file(name);
        let birth = Pid::from_raw(pid.cast_signed()).and_then(birth).unwrap_or_default();
        // The birth first: who finds the new number must find its birth.
        fs::write(self.folder.births().join(name), format!("{pid} {birth}"))
            .and_then(|()| fs::write(&pid_file, pid.to_string()))
            .with_context(|| format!("{} cannot be written", pid_file.display()))
    }

    /// The running process of this name; `None` when there is none, or a stranger bears its number.
    pub(crate) fn live(&self, name: &str) -> Option<Pid> {
        let text = fs::read_to_string(self.pid_file(name)).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?)?;
        let recorded = fs::read_to_string(self.folder.births().join(name)).ok()?;
        let (recorded_pid, recorded_birth) = recorded.split_once(' ')?;
        let same = recorded_pid == text.trim() && is_alive(pid) && birth(pid)? == recorded_birth;
        same.then_some(pid)
    }

    /// The number last recorded for this name, whether that process still lives or not.
    pub(crate) fn last(&self, name: &str) -> Option<i32> {
        fs::read_to_string(self.pid_file(name)).ok()?.trim().parse().ok()
    }

    /// Forgets a process that has ended.
    pub(crate) fn remove(&self, name: &str) {
        // Absent is as good.
        fs::remove_file(self.pid_file(name)).ok();
        fs::remove_file(self.folder.births().join(name)).ok();
    }

    /// Every name there is a record of, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.births()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn pid_file(&self, name: &str) -> std::path::PathBuf {
        self.folder.pids().join(format!("{name}.pid"))
    }
}

/// Sends a signal; that the process has just ended is no error.
pub(crate) fn signal(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("process {} cannot be signalled", pid.as_raw_nonzero())),
    }
}

/// Whether a process of this id exists and is not a zombie.
pub(crate) fn is_alive(pid: Pid) -> bool {
    if !Path::new("/proc/self").exists() {
        return test_kill_process(pid).is_ok();
    }
    stat(pid).is_some_and(|fields| !fields.starts_with('Z'))
}

/// What no two processes of one number share.
fn birth(pid: Pid) -> Option<String> {
    /// Place of the start time among the fields that follow the command's name.
    const START_TIME: usize = 19;
    if !Path::new("/proc/self").exists() {
        let number = pid.as_raw_nonzero().to_string();
        let output = std::process::Command::new("ps").args(["-o", "lstart=", "-p", &number]).output().ok()?;
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty());
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let start_time = stat(pid)?.split(' ').nth(START_TIME)?.to_owned();
    Some(format!("{}/{start_time}", boot.trim()))
}

/// The fields of `/proc/<pid>/stat` after the command's name, which is in parentheses and may itself contain some.
fn stat(pid: Pid) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    text.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> (tempfile::TempDir, ProcessRecords) {
        let directory = tempfile::tempdir().unwrap();
        let records = ProcessRecords::of(&RunFolder::create_at(directory.path().join(".run")).unwrap());
        (directory, records)
    }

    #[test]
    fn a_process_is_known_while_it_lives() {
        let (_directory, records) = records();
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        records.write("cat", child.id()).unwrap();
        let pid = records.live("cat").unwrap();
        assert_eq!(pid.as_raw_nonzero().get().cast_unsigned(), child.id());
        assert_eq!(records.names(), ["cat"]);
        signal(pid, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert_eq!(records.live("cat"), None);
        signal(pid, Signal::TERM).unwrap();
        records.remove("cat");
        assert!(records.names().is_empty());
    }

    #[test]
    fn a_stranger_of_the_same_number_is_not_ours() {
        let (_directory, records) = records();
        records.write("admin-1", std::process::id()).unwrap();
        assert!(records.live("admin-1").is_some());
        let birth = records.folder.births().join("admin-1");
        fs::write(&birth, format!("{} another-boot/17", std::process::id())).unwrap();
        assert_eq!(records.live("admin-1"), None);
        fs::remove_file(birth).unwrap();
        assert_eq!(records.live("admin-1"), None, "a number without a birth proves nothing");
    }
}
