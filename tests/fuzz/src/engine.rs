//! Running a target without libFuzzer: the corpus as it is, then changed inputs from a seed.
//!
//! Inputs that lead to something not seen before join the pool that is changed further. That is far coarser than coverage, and
//! works with any compiler.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::random::Random;
use crate::{Seen, Target, mutation};

/// How many inputs the pool holds beyond the corpus.
const MOST_KEPT: usize = 2_000;

/// What was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs of the corpus.
    pub replayed: usize,
    /// Changed inputs.
    pub tried: usize,
    /// Outcomes that differed.
    pub outcomes: usize,
    /// Inputs on which a promise was broken, without repetition; the search ends at the first few.
    pub failures: Vec<Vec<u8>>,
}

/// Failures after which a target is not tried any further.
const MOST_FAILURES: usize = 3;

/// Replays the corpus and tries `cases` changed inputs. The same seed tries the same inputs.
///
/// # Errors
/// Where the corpus cannot be read.
pub fn run(target: &Target, seed: u64, cases: usize) -> io::Result<Report> {
    let mut pool = corpus(target)?;
    let (mut report, mut seen) = (Report { replayed: pool.len(), ..Report::default() }, HashSet::new());
    for input in &pool {
        try_one(target, input, &mut report, &mut seen);
    }
    let (from_corpus, mut random) = (pool.len(), Random::seeded(seed));
    while report.tried < cases && report.failures.len() < MOST_FAILURES {
        let empty = Vec::new();
        let input = random.one_of(&pool).unwrap_or(&empty).clone();
        let other = random.one_of(&pool).unwrap_or(&empty).clone();
        let changed = mutation::changed(&input, &other, target.words, &mut random);
        report.tried += 1;
        if try_one(target, &changed, &mut report, &mut seen) && pool.len() < from_corpus + MOST_KEPT {
            pool.push(changed);
        }
    }
    report.outcomes = seen.len();
    Ok(report)
}

/// Whether this led to something new.
fn try_one(target: &Target, input: &[u8], report: &mut Report, seen: &mut HashSet<Seen>) -> bool {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Ok(outcome) => seen.insert(outcome),
        Err(_) => {
            report.failures.push(input.to_vec());
            false
        }
    }
}

/// The inputs in the target's folder, in the order of their names.
fn corpus(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(target.corpus_folder())? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().map(fs::read).collect()
}
