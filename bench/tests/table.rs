//! The table of cases, its budgets and the programs that measure them agree.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Output};

use onering_bench::CASES;
use onering_bench::budgets::Budgets;

fn run(program: &str, arguments: &[&str]) -> io::Result<Output> {
    Command::new(program).args(arguments).output()
}

#[test]
fn every_case_has_a_budget_and_every_budget_a_case() {
    let budgets = Budgets::parse(include_str!("../budgets.toml")).unwrap();
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    let budgeted: BTreeSet<&str> = budgets.instructions.keys().map(String::as_str).collect();
    assert_eq!(cases, budgeted);
    assert_eq!(cases.len(), CASES.len(), "two cases have one name");
    for (name, figure) in &budgets.instructions {
        assert!(*figure >= 100, "{name}: {figure} instructions are too few to tell percents apart");
    }
    assert_eq!(budgets.render(), include_str!("../budgets.toml"), "written by hand");
}

#[test]
fn every_call_is_like_the_first() {
    for case in CASES {
        let routine = (case.prepare)().unwrap();
        let first = routine.show();
        routine.run();
        assert_eq!(routine.show(), first, "{}", case.name);
    }
}

#[test]
fn the_program_under_callgrind_knows_every_case() {
    for case in CASES {
        let output = run(env!("CARGO_BIN_EXE_instructions"), &[case.name, "2"]).unwrap();
        assert!(output.status.success(), "{}: {output:?}", case.name);
    }
    for wrong in [&["no-such-case", "2"][..], &["id-parse", "often"], &["id-parse"], &[]] {
        let output = run(env!("CARGO_BIN_EXE_instructions"), wrong).unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
    assert!(run(env!("CARGO_BIN_EXE_instructions"), &["--processor"]).unwrap().status.success());
}

#[test]
#[cfg(debug_assertions)]
fn a_build_that_is_not_optimised_is_not_measured() {
    let output = run(env!("CARGO_BIN_EXE_budget"), &[]).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("make bench-budget"), "{output:?}");
}
