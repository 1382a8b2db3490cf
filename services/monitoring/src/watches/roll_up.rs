//! Adding up what the workers counted, for the figures of 24 hours (`onering_store::delivery_totals`).
//!
//! Every replica does it; the store sees to it that one of them works at a time. Figures are as exact while this does not run;
//! they only take longer.

use std::sync::atomic::{AtomicU32, Ordering};

use onering_store::delivery_totals;

use super::rest::Rest;
use crate::sources::{ReadError, Sources, read};

/// Adds up again and again.
#[derive(Debug)]
pub(super) struct RollUp {
    sources: Sources,
    /// What a slot costs follows the number of busy subscriptions.
    rest: Rest,
    turn: AtomicU32,
}

impl RollUp {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, rest: Rest::default(), turn: AtomicU32::new(0) }
    }

    /// Adds up what is over, and again a slot of the last day, unless it rests.
    pub(super) async fn round(&self) -> Result<(), ReadError> {
        let began = self.sources.clock.monotonic();
        if !self.rest.is_over(began) {
            return Ok(());
        }
        let added_up = self.add_up().await;
        self.rest.after(began, self.sources.clock.monotonic(), &added_up);
        added_up
    }

    async fn add_up(&self) -> Result<(), ReadError> {
        // A day at most: what was never added up takes some rounds, between which this rests.
        for _ in 0..delivery_totals::SLOTS {
            if !read(async { delivery_totals::close(&mut *self.sources.pool.get().await?).await }).await? {
                break;
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        read(async { delivery_totals::count_again(&mut *self.sources.pool.get().await?, turn).await }).await
    }
}
