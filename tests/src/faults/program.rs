//! What a seed stands for: the order of the faults, and when and for how long each strikes.

use std::time::Duration;

use super::fault::Fault;
use super::run::Trial;

/// How long a fault lasts that has an end.
const SHORTEST_MS: u64 = 2_000;
const LONGEST_MS: u64 = 8_000;
/// The share of a trial's events that are accepted before the fault, in per cent.
const EARLIEST: u64 = 15;
const LATEST: u64 = 60;

/// An endless series of faults: all of them in some order, then all of them in another. The same seed, the same series.
#[derive(Debug, Clone)]
pub struct Program {
    dice: u64,
    events: usize,
    round: Vec<Fault>,
}

impl Program {
    /// The series of this seed; each trial has this many events.
    #[must_use]
    pub fn new(seed: u64, events: usize) -> Self {
        Self { dice: seed, events, round: Vec::new() }
    }

    /// A number below `end`, which is not 0. SplitMix64: the series must never change with a library's version.
    fn below(&mut self, end: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.dice;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }

    fn index_below(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or_default()
    }

    /// When and for how long a fault strikes.
    fn trial(&mut self) -> Trial {
        let share = EARLIEST + self.below(LATEST - EARLIEST);
        let before = self.events * usize::try_from(share).unwrap_or_default() / 100;
        let lasts = Duration::from_millis(SHORTEST_MS + self.below(LONGEST_MS - SHORTEST_MS));
        Trial { before, lasts, ..Trial::of(self.events) }
    }

    /// Each of these once, in this order.
    pub fn each_of(&mut self, faults: &[Fault]) -> Vec<(Fault, Trial)> {
        faults.iter().map(|fault| (*fault, self.trial())).collect()
    }

    fn shuffle(&mut self, faults: &mut [Fault]) {
        for end in (2..=faults.len()).rev() {
            let other = self.index_below(end);
            faults.swap(end - 1, other);
        }
    }
}

impl Iterator for Program {
    type Item = (Fault, Trial);

    fn next(&mut self) -> Option<Self::Item> {
        if self.round.is_empty() {
            let mut round = Fault::ALL.to_vec();
            self.shuffle(&mut round);
            self.round = round;
        }
        let fault = self.round.pop()?;
        Some((fault, self.trial()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_series() {
        let series = |seed| Program::new(seed, 2_000).take(60).collect::<Vec<_>>();
        assert_eq!(series(7), series(7));
        assert_ne!(series(7), series(8));
    }

    #[test]
    fn every_round_has_every_fault() {
        for round in Program::new(1, 1_000).take(Fault::ALL.len() * 3).collect::<Vec<_>>().chunks(Fault::ALL.len()) {
            let faults: BTreeSet<Fault> = round.iter().map(|(fault, _)| *fault).collect();
            assert_eq!(faults.len(), Fault::ALL.len());
        }
    }

    #[test]
    fn moments_are_in_the_middle() {
        for (_, trial) in Program::new(3, 1_000).take(500) {
            assert!((150..600).contains(&trial.before), "{}", trial.before);
            assert!((2_000..8_000).contains(&trial.lasts.as_millis()), "{:?}", trial.lasts);
        }
    }
}
