//! How long something took to take effect.

use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_testkit::eventually;

/// The contract: from the write to its effect on every replica.
pub const BOUND: Duration = Duration::from_secs(1);
/// How long is waited for an effect at all; what takes longer than [`BOUND`] fails with its figure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A change that was just made, and the times until it was seen.
#[derive(Debug)]
pub struct Change {
    what: String,
    made_at: Instant,
    seen: Vec<(String, Duration)>,
}

impl Change {
    /// The change is made right after this call.
    #[must_use]
    pub fn about_to(what: &str) -> Self {
        Self { what: what.to_owned(), made_at: Clock::system().monotonic(), seen: Vec::new() }
    }

    /// When it was made.
    #[must_use]
    pub fn made_at(&self) -> Instant {
        self.made_at
    }

    /// Waits until these looks, each of one replica, all see the effect; notes when each did.
    ///
    /// # Panics
    /// When one does not in 20 s.
    pub async fn seen_by<F: Future<Output = bool>>(
        &mut self,
        replicas: impl IntoIterator<Item = (String, impl Fn() -> F)>,
    ) {
        let made_at = self.made_at;
        let waits = replicas.into_iter().map(|(name, look)| {
            let what = format!("{}: {name}", self.what);
            async move {
                eventually(PATIENCE, &what, async || look().await).await;
                (name, made_at.elapsed())
            }
        });
        self.seen.extend(futures_util::future::join_all(waits).await);
    }

    /// Notes an effect that was measured otherwise.
    pub fn seen_after(&mut self, name: &str, took: Duration) {
        self.seen.push((name.to_owned(), took));
    }

    /// Prints the times and holds them against the contract.
    ///
    /// # Panics
    /// When one took longer than a second.
    pub fn assert_within_bound(self) {
        let times: Vec<String> =
            self.seen.iter().map(|(name, took)| format!("{name} {:.0} ms", took.as_secs_f64() * 1000.0)).collect();
        println!("{}: {}", self.what, times.join(", "));
        for (name, took) in &self.seen {
            assert!(*took <= BOUND, "{}: {name} took {took:?}", self.what);
        }
    }
}
