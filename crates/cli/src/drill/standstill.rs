//! Processes that are stopped for a moment, and go on however that moment ends.

use rustix::process::{Pid, Signal};

use crate::stack::signal;

/// Processes that stand still while this lives.
pub(super) struct Standstill(Vec<Pid>);

impl Standstill {
    /// Stops them; none when one of them cannot be.
    pub(super) fn of(processes: impl IntoIterator<Item = Pid>) -> anyhow::Result<Self> {
        let mut standing = Self(Vec::new());
        for process in processes {
            signal(process, Signal::STOP)?;
            standing.0.push(process);
        }
        Ok(standing)
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets all go on; the first that cannot be told to is the error.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> anyhow::Result<()> {
        self.0.drain(..).map(|process| signal(process, Signal::CONT)).fold(Ok(()), Result::and)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        if let Err(error) = self.let_go() {
            eprintln!("onering: a process stands still: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use onering_testkit::eventually;

    use super::*;

    fn child() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    async fn stands(child: &Child, expected: bool) {
        let path = format!("/proc/{}/stat", child.id());
        eventually(Duration::from_secs(20), "the process is as expected", async || {
            let stat = std::fs::read_to_string(&path).unwrap();
            if stat.rsplit_once(") ").unwrap().1.starts_with('T') == expected { Ok(()) } else { Err(stat) }
        })
        .await;
    }

    #[tokio::test]
    async fn all_go_on_however_it_ends() {
        let mut children = [child(), child()];
        let pids = || children.iter().map(|child| Pid::from_raw(child.id().cast_signed()).unwrap());
        for ends_by_itself in [true, false] {
            let standing = Standstill::of(pids()).unwrap();
            for child in &children {
                stands(child, true).await;
            }
            if ends_by_itself {
                standing.end().unwrap();
            } else {
                drop(standing);
            }
            for child in &children {
                stands(child, false).await;
            }
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
