//! Anything at all, to every parser that meets bytes from outside.
//!
//! [`TARGETS`] names them; each is a function that takes any bytes and panics when a parser breaks a promise. None promises
//! merely not to panic: what is accepted is within its bounds and comes back from its printed form, and what is refused names
//! what is wrong. There are two ways to run them. `make test` replays the corpus and tries some thousands of changed inputs on
//! each ([`engine`], pure and repeatable, needing nothing but Rust). `make fuzz` lets libFuzzer, guided by coverage, look for
//! as long as one likes.
//!
//! Deliberately absent: servers, sockets and stores. The corpus lies in `corpus/<target>/`; an input that once found a fault
//! stays there.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a target says that a promise is broken by panicking"
)]

pub mod engine;
mod mutation;
mod random;
mod targets;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

pub use targets::TARGETS;

/// One parser, or a family of them.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Feeds it, and panics when it breaks a promise.
    pub run: fn(&[u8]) -> Seen,
    /// Words of its language, which chance would take long to find.
    pub words: &'static [&'static str],
}

/// What an input led to, told apart only by being equal or not: an input that led to something new is worth changing further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen(u64);

impl Seen {
    /// Sums up what happened. Coarse is right: a handful of cases, not the values themselves.
    #[must_use]
    pub fn of(what: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Where its corpus lies.
    #[must_use]
    pub fn corpus_folder(&self) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).join(self.name)
    }
}
