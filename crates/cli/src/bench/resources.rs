//! What processes use, by the operating system's own account.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Linux tells times in these, on every machine that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// Resident memory of a process in megabytes; `None` when it cannot be read.
pub(super) fn resident_mb(pid: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The processor times of all processes at one moment.
pub(super) struct ProcessorTimes(HashMap<i32, Account>);

/// What one process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    parent: i32,
    /// With that of its children which have ended.
    used: Duration,
}

impl ProcessorTimes {
    /// Reads them; empty where the system does not tell.
    pub(super) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let accounts = entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // It may have ended since it was listed.
            Some((pid, account(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        });
        Self(accounts.collect())
    }

    /// What this process and all beneath it have used so far.
    pub(super) fn of_family(&self, root: i32) -> Duration {
        self.0.iter().filter(|(pid, _)| self.descends(**pid, root)).map(|(_, account)| account.used).sum()
    }

    /// What this process alone has used, and no child that still runs.
    pub(super) fn of_process(&self, pid: i32) -> Duration {
        self.0.get(&pid).map_or(Duration::ZERO, |account| account.used)
    }

    fn descends(&self, pid: i32, root: i32) -> bool {
        let mut at = pid;
        // No process is as deep; a loop cannot be, but may be read while numbers change hands.
        for _ in 0..64 {
            if at == root {
                return true;
            }
            match self.0.get(&at) {
                Some(account) => at = account.parent,
                None => return false,
            }
        }
        false
    }
}

/// From the text of `/proc/<pid>/stat`.
fn account(stat: &str) -> Option<Account> {
    // The name before is in parentheses and may itself contain some.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u32>().ok();
    let used = ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)?;
    Some(Account { parent: fields.get(1)?.parse().ok()?, used: TICK * used })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(parent: i32, user: u32, system: u32, of_ended: u32) -> Account {
        let fields = format!(
            "7 (a (b) c) S {parent} 1 1 0 -1 4194560 9 9 0 0 {user} {system} {of_ended} {of_ended} 20 0 1 0 99"
        );
        account(&fields).unwrap()
    }

    #[test]
    fn times_are_user_system_and_those_of_ended_children() {
        assert_eq!(stat(3, 10, 20, 5), Account { parent: 3, used: Duration::from_millis(400) });
        assert_eq!(account("7 (x) S 1"), None);
    }

    #[test]
    fn a_family_is_everything_beneath() {
        let times = ProcessorTimes(
            [(2, stat(1, 1, 0, 0)), (3, stat(2, 10, 0, 0)), (4, stat(3, 100, 0, 0)), (9, stat(1, 7, 0, 0))].into(),
        );
        assert_eq!(times.of_family(2), TICK * 111);
        assert_eq!(times.of_process(2), TICK);
        assert_eq!(times.of_family(8), Duration::ZERO);
    }

    #[test]
    fn this_process_uses_something() {
        let own = std::process::id().cast_signed();
        assert!(ProcessorTimes::read().0.contains_key(&own));
        assert!(resident_mb(own).unwrap() > 1.0);
    }
}
