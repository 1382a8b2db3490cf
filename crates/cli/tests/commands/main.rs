//! The `onering` command as a user meets it: run as a process, judged by what it prints, answers and leaves behind.

mod database;
mod receiving;
mod running;
mod signing;
mod stack;
