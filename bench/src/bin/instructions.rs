//! One case, called so many times and nothing else: what callgrind is run on.
//!
//!     instructions CASE CALLS
//!     instructions --processor
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is run by hand, and by `budget`")]

use std::error::Error;
use std::process::ExitCode;

use onering_bench::surroundings::{PROCESSOR_FLAG, processor};
use onering_bench::{CASES, Case};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [PROCESSOR_FLAG] => {
            println!("{}", processor().join(" "));
            Ok(())
        }
        [case, calls] => call(case, calls),
        _ => Err(format!(
            "usage: instructions CASE CALLS\ncases: {}",
            CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(" ")
        )
        .into()),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

fn call(case: &str, calls: &str) -> Result<(), Box<dyn Error>> {
    let calls: u64 = calls.parse()?;
    let case = Case::named(case).ok_or_else(|| format!("there is no case {case}"))?;
    let routine = (case.prepare)()?;
    for _ in 0..calls {
        routine.run();
    }
    Ok(())
}
