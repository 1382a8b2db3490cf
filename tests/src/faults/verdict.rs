//! What a trial came to, and what is wrong with it.

use std::time::Duration;

use super::fault::Fault;

/// More than this no worker may ever have held in memory. A debug build with a thousand requests under way needs a third.
pub(super) const MOST_MEMORY_MB: u64 = 384;

/// The figures of one trial.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What was done.
    pub fault: Fault,
    /// Events answered 202.
    pub accepted: usize,
    /// Of these, how many arrived.
    pub delivered: usize,
    /// Requests that made an attempt once more that had been made.
    pub repeated: usize,
    /// Accepted and not arrived.
    pub lost: usize,
    /// Deliveries that are not settled at the end, where there are some: how many, and which.
    pub waiting: Option<String>,
    /// Arrived and never accepted: an event published twice under one idempotency key.
    pub strangers: usize,
    /// Requests whose signature or stamp a careful receiver refuses.
    pub bad_signatures: usize,
    /// The most memory any worker held since it was started; `None` where the system does not tell.
    pub memory_mb: Option<u64>,
    /// From the first event to the last arrival.
    pub took: Duration,
    /// What the ledger says, when it does not balance.
    pub ledger: Option<String>,
    /// What else is not as it should be.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Everything that is wrong, in words; nothing when all is well.
    #[must_use]
    pub fn reds(&self) -> Vec<String> {
        let mut reds = Vec::new();
        let mut red = |is_red: bool, text: String| {
            if is_red {
                reds.push(text);
            }
        };
        red(self.accepted == 0, "nothing was accepted, so this proves nothing".to_owned());
        red(self.lost > 0, format!("{} lost", self.lost));
        red(self.strangers > 0, format!("{} arrived that were never accepted", self.strangers));
        red(
            self.repeated > 0 && !self.fault.explains_repeats(),
            format!("{} repeated, and nothing had crashed", self.repeated),
        );
        red(self.bad_signatures > 0, format!("{} signatures or stamps refused", self.bad_signatures));
        let memory_mb = self.memory_mb.unwrap_or_default();
        red(memory_mb > MOST_MEMORY_MB, format!("a worker held {memory_mb} MB, more than {MOST_MEMORY_MB}"));
        reds.extend(self.waiting.iter().map(|text| format!("still waiting: {text}")));
        reds.extend(self.ledger.iter().map(|text| format!("the ledger does not balance: {text}")));
        reds.extend(self.wrong.iter().cloned());
        reds
    }

    /// Whether all is well.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.reds().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(fault: Fault) -> Verdict {
        Verdict {
            fault,
            accepted: 10,
            delivered: 10,
            repeated: 0,
            lost: 0,
            waiting: None,
            strangers: 0,
            bad_signatures: 0,
            memory_mb: Some(100),
            took: Duration::from_secs(1),
            ledger: None,
            wrong: Vec::new(),
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_said() {
        let fault = Fault::FlushRedis;
        assert!(good(fault).is_green());
        let cases = [
            (Verdict { lost: 2, ..good(fault) }, "2 lost"),
            (Verdict { strangers: 1, ..good(fault) }, "never accepted"),
            (Verdict { repeated: 3, ..good(fault) }, "3 repeated"),
            (Verdict { bad_signatures: 4, ..good(fault) }, "4 signatures"),
            (Verdict { memory_mb: Some(MOST_MEMORY_MB + 1), ..good(fault) }, "MB"),
            (Verdict { ledger: Some("missing 1".to_owned()), ..good(fault) }, "missing 1"),
            (Verdict { waiting: Some("3, such as".to_owned()), ..good(fault) }, "still waiting: 3"),
            (Verdict { wrong: vec!["odd".to_owned()], ..good(fault) }, "odd"),
            (Verdict { accepted: 0, ..good(fault) }, "proves nothing"),
        ];
        for (verdict, word) in cases {
            let reds = verdict.reds();
            assert!(reds.len() == 1 && reds[0].contains(word), "{word}: {reds:?}");
        }
    }

    #[test]
    fn a_crash_explains_repeats_and_nothing_else() {
        assert!(Verdict { repeated: 3, ..good(Fault::KillWorker) }.is_green());
        assert!(!Verdict { lost: 1, ..good(Fault::KillWorker) }.is_green());
    }
}
