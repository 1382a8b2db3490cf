//! The `onering` command as a user meets it: run as a process, judged by what it prints, answers and leaves behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests fail their test, and hand the machine's environment on"
)]

mod bench;
mod database;
mod drill;
mod large;
mod receiving;
mod running;
mod seeding;
mod signing;
mod stack;
