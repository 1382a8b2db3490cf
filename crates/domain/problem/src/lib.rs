//! The one table of error codes, and the problem document every error answer carries.
//!
//! Purpose: a code has one HTTP status, one title and one piece of advice, whichever service answers with it. Entry
//! points: [`Code`], the table, and [`Problem`], one occurrence of a code with its particulars.
//!
//! Invariant: everything in a [`Problem`] is for the caller to read. Causes, SQL, addresses and secrets stay in the
//! error that was logged; nothing here can carry them by accident, as no other error converts into a `Problem`.
//!
//! Deliberately absent: HTTP. Turning a problem into a response with its headers is `onering-web`'s.

mod code;
mod document;

pub use code::{Code, UnknownCode};
pub use document::{Problem, ProblemDocument};
