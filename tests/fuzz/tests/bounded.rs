//! Every target for some seconds: its corpus, and changed inputs from a fixed seed, so that what fails fails again.
#![allow(clippy::disallowed_methods, reason = "how long and from which seed can be said by the environment")]

use std::path::Path;

use onering_fuzz::{TARGETS, Target, engine};

/// Changed inputs a target, and where they begin. `ONERING_FUZZ_CASES` and `ONERING_FUZZ_SEED` say otherwise.
const CASES: u64 = 4_000;
const SEED: u64 = 1;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn holds(name: &str) {
    let target = Target::named(name).expect("the target is in the table");
    let cases = usize::try_from(number("ONERING_FUZZ_CASES", CASES)).unwrap();
    let report = engine::run(target, number("ONERING_FUZZ_SEED", SEED), cases).unwrap();
    println!(
        "{name}: {} replayed, {} tried, {} outcomes, {} failures",
        report.replayed,
        report.tried,
        report.outcomes,
        report.failures.len()
    );
    assert!(report.replayed > 0 && report.outcomes > 1, "{name}: the corpus leads to one outcome only: {report:?}");
    for (number, input) in report.failures.iter().enumerate() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}"));
        std::fs::write(&path, input).unwrap();
        println!("{} breaks a promise: {:?}", path.display(), String::from_utf8_lossy(input));
    }
    assert!(report.failures.is_empty(), "{name}: put the inputs named above into {}", target.corpus_folder().display());
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test] fn $name() { holds(stringify!($name)); })+

        #[test]
        fn every_target_is_tried() {
            let mut tried = vec![$(stringify!($name)),+];
            let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            tried.sort_unstable();
            known.sort_unstable();
            assert_eq!(tried, known);
        }
    };
}

targets! {
    access_token addresses batch cursor event filter flags forwarded_answer http_answer idempotency_key ids json query receiver_answer
    retry_after routes signature stream_entry subscription
}
