//! Counting the instructions of a case under `valgrind --tool=callgrind`.

use std::io;
use std::process::{Command, Stdio};
use std::thread;

/// How many calls are made in the shorter of two runs; the longer makes twice as many.
const CALLS: u64 = 1_000;

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// A program is not installed.
    #[error("{program} is not in PATH (deploy/dev/install-valgrind.sh installs valgrind)")]
    Missing {
        /// Its name.
        program: String,
    },
    /// A program cannot be started.
    #[error("{program} cannot be started")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{command} failed:\n{complaint}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        complaint: String,
    },
    /// A program said something else than it should.
    #[error("{of} does not tell its {wanted}")]
    Answer {
        /// What was run.
        of: &'static str,
        /// What was not found in what it said.
        wanted: &'static str,
    },
    /// A thread broke off.
    #[error("a run was not watched to its end")]
    Unwatched,
}

/// How many instructions one call of a case takes. `instructions` is the program of that name.
///
/// The difference of two runs, one of which makes twice as many calls, divided by the calls: start-up, preparation and what
/// only the first call does cancel out.
///
/// # Errors
/// When valgrind is missing or fails.
pub fn count(instructions: &str, case: &str) -> Result<u64, CountError> {
    let (once, twice) = thread::scope(|scope| {
        let once = scope.spawn(|| total(instructions, case, CALLS));
        let twice = total(instructions, case, 2 * CALLS);
        (once.join().map_err(|_| CountError::Unwatched), twice)
    });
    Ok(per_call(once??, twice?, CALLS))
}

/// The instructions of a whole run.
fn total(instructions: &str, case: &str, calls: u64) -> Result<u64, CountError> {
    let flags = ["--tool=callgrind", "--callgrind-out-file=/dev/null", instructions, case, &calls.to_string()];
    let said = output_of(valgrind().args(flags))?.stderr;
    collected(&said).ok_or(CountError::Answer { of: "callgrind", wanted: "count of instructions" })
}

/// Rounded to the nearest.
const fn per_call(once: u64, twice: u64, calls: u64) -> u64 {
    (twice.saturating_sub(once) + calls / 2) / calls
}

/// The count in what callgrind says at its end: `==123== Collected : 128641`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| {
        let (_, figure) = line.split_once("Collected :")?;
        figure.trim().parse().ok()
    })
}

/// What a program said.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn valgrind() -> Command {
    Command::new("valgrind")
}

/// Runs a command to its end, which must be a success.
pub(crate) fn output_of(command: &mut Command) -> Result<Output, CountError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CountError::Missing { program },
        _ => CountError::Start { program, source },
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        Ok(Output { stdout, stderr })
    } else {
        Err(CountError::Failed { command: format!("{command:?}"), complaint: format!("{}\n{stderr}", output.status) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 128641\n==7== \n==7== I   refs:      128,641\n";
        assert_eq!(collected(said), Some(128_641));
        assert_eq!(collected("==7== Collected : many\n"), None);
        assert_eq!(collected(""), None);
    }

    #[test]
    fn what_both_runs_share_is_not_counted() {
        assert_eq!(per_call(1_000_000 + 1_000 * 25, 1_000_000 + 2_000 * 25, 1_000), 25);
        assert_eq!(per_call(0, 1_499, 1_000), 1);
        assert_eq!(per_call(0, 1_500, 1_000), 2);
        assert_eq!(per_call(5, 4, 1_000), 0);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = output_of(&mut Command::new("valgrind-that-is-not-there")).err().unwrap();
        assert!(error.to_string().starts_with("valgrind-that-is-not-there is not in PATH"), "{error}");
    }

    #[test]
    fn a_failure_tells_what_was_said() {
        let error = output_of(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("why\n"), "{error}");
    }
}
