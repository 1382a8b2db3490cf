//! `cargo bench --package onering-bench`: how long each case takes. Arguments are criterion's: a part of a name picks cases.

use std::error::Error;

use criterion::Criterion;
use onering_bench::CASES;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    for case in CASES {
        let routine = (case.prepare)()?;
        criterion.bench_function(case.name, |bencher| bencher.iter(|| routine.run()));
    }
    criterion.final_summary();
    Ok(())
}
