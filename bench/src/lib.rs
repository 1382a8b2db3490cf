//! What the decisions on the way of a call and of an event cost, each on its own.
//!
//! [`CASES`] names them, each written once and measured in two ways. `make bench-budget` counts their instructions under
//! callgrind and compares them with `bench/budgets.toml`: the same on a busy machine as on a quiet one. `cargo bench --package
//! onering-bench` takes their time with criterion.
//!
//! Deliberately absent: sockets, stores and queues. Only domain crates are measured here; whole services are measured by
//! `onering bench`.

pub mod budgets;
pub mod callgrind;
mod cases;
mod samples;
pub mod surroundings;

use std::error::Error;
use std::fmt;
use std::hint::black_box;

use mimalloc::MiMalloc;

pub use cases::CASES;

/// The services' own, since allocations are part of what is counted.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// One thing that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name, and that of its budget.
    pub name: &'static str,
    /// Makes what it works on, which is not measured.
    pub prepare: fn() -> Prepared,
}

/// A case that can be called, or why it cannot.
pub type Prepared = Result<Box<dyn Routine>, Box<dyn Error>>;

/// One call of a case. The same each time: no call leaves anything behind for the next.
pub trait Routine {
    /// Makes the call and lets the compiler believe that its result is used.
    fn run(&self);

    /// Makes the call and shows its result.
    fn show(&self) -> String;
}

impl<F, R> Routine for F
where
    F: Fn() -> R,
    R: fmt::Debug,
{
    fn run(&self) {
        black_box(self());
    }

    fn show(&self) -> String {
        format!("{:?}", self())
    }
}

impl Case {
    /// The case of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }
}

fn routine(call: impl Routine + 'static) -> Prepared {
    Ok(Box::new(call))
}
