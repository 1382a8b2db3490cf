//! Waiting for a condition, in place of sleeping.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

/// The first pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a look at a condition may answer: `bool`, `Option` or `Result`.
pub trait Attempt {
    /// What the condition yields when it holds.
    type Value;
    /// The value, or what was seen instead.
    ///
    /// # Errors
    /// The text that says what was seen.
    fn decide(self) -> Result<Self::Value, String>;
}

impl Attempt for bool {
    type Value = ();
    fn decide(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

impl<T> Attempt for Option<T> {
    type Value = T;
    fn decide(self) -> Result<T, String> {
        self.ok_or_else(|| "None".to_owned())
    }
}

impl<T, E: Display + Debug> Attempt for Result<T, E> {
    type Value = T;
    fn decide(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Looks at a condition until it holds, and yields its value.
///
/// The closure answers `bool`, `Option<T>`, or `Result<T, E>` whose error says what was seen instead of what was
/// hoped for: the last one is in the message.
///
/// # Panics
/// When the condition does not hold within `deadline`. The message names `what`.
pub async fn eventually<A: Attempt>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> A) -> A::Value {
    let start = Instant::now();
    let (mut looks, mut seen, mut pause) = (0_u32, String::from("the first look did not come back"), FIRST_PAUSE);
    let wait = async {
        loop {
            match look().await.decide() {
                Ok(value) => return value,
                Err(text) => seen = text,
            }
            looks += 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let outcome = tokio::time::timeout(deadline, wait).await;
    outcome.unwrap_or_else(|_| {
        panic!("not within {deadline:?}: {what}. Looked {looks} times over {:?}; last seen: {seen}", start.elapsed())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn yields_the_value_when_the_condition_holds() {
        let mut count = 0;
        let look = async || {
            count += 1;
            (count == 3).then_some(count)
        };
        assert_eq!(eventually(Duration::from_secs(5), "three looks", look).await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the tide turns. Looked ")]
    async fn says_what_was_awaited() {
        eventually(Duration::from_millis(20), "the tide turns", async || false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: 2 of 3 arrived")]
    async fn says_what_was_seen_instead() {
        eventually(Duration::from_millis(20), "all arrive", async || Err::<(), _>("2 of 3 arrived")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the first look did not come back")]
    async fn a_look_that_hangs_is_cut() {
        eventually(Duration::from_millis(20), "an answer", async || std::future::pending::<bool>().await).await;
    }
}
