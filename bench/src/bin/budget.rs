//! `make bench-budget`: counts the instructions of every case and compares them with `bench/budgets.toml`.
//!
//! Exit codes: 0 nothing is over its budget, 1 something is, 2 nothing could be compared.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::Parser;
use onering_bench::CASES;
use onering_bench::budgets::{Budgets, Comparison, Figures, TABLE_HEAD, TOLERANCE_PERCENT, Verdict};
use onering_bench::callgrind::{CountError, count};
use onering_bench::surroundings::Surroundings;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.toml");

/// Counts the instructions of every case and compares them with its budget.
#[derive(Parser)]
struct Arguments {
    /// Write the figures as the new budgets instead
    #[arg(long)]
    update: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

/// What went wrong and what lies beneath it, in one line.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// Answers whether nothing is over its budget.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if cfg!(debug_assertions) {
        return Err("this build is not optimised; `make bench-budget` measures the release build".into());
    }
    let program = std::env::current_exe()?.with_file_name("instructions");
    let program = program.to_str().ok_or("the path of the program is no text")?;
    let here = Surroundings::here(program)?;
    if arguments.update {
        let budgets = Budgets { measured: here, instructions: figures(program)? };
        fs::write(FILE, budgets.render())?;
        println!("{} budgets are written to {FILE}", budgets.instructions.len());
        return Ok(true);
    }
    let budgets = Budgets::parse(&fs::read_to_string(FILE)?)?;
    let differences = here.differences(&budgets.measured);
    if here.target != budgets.measured.target {
        return Err(
            format!("the budgets cannot be compared with this machine's figures\n{}", differences.join("\n")).into()
        );
    }
    let compared = budgets.compare(&figures(program)?);
    println!("{TABLE_HEAD}");
    compared.iter().for_each(|comparison| println!("{comparison}"));
    println!();
    differences.iter().for_each(|difference| println!("Note: {difference}"));
    Ok(judge(&compared))
}

fn figures(program: &str) -> Result<Figures, CountError> {
    println!("Counting {} cases\n", CASES.len());
    CASES.iter().map(|case| Ok((case.name.to_owned(), count(program, case.name)?))).collect()
}

/// Says how it went, and whether it went well.
fn judge(compared: &[Comparison]) -> bool {
    let failed: Vec<&Comparison> = compared.iter().filter(|one| one.verdict().is_failure()).collect();
    if failed.is_empty() {
        let lower = compared.iter().filter(|one| one.verdict() == Verdict::Below).count();
        println!("No case is over its budget by {TOLERANCE_PERCENT} %; {lower} budgets can be lowered");
        return true;
    }
    failed.iter().for_each(|comparison| eprintln!("{comparison}"));
    eprintln!(
        "{} of {} failed. Where that is meant: make bench-budget BUDGET_ARGS=--update",
        failed.len(),
        compared.len()
    );
    false
}
