//! Bugs planted on purpose, for tests that the fault suite sees them. Debug builds only.
//!
//! A release binary has no trace of them: there the variable's name is not compiled in, and [`Planted::is`] is the constant
//! `false`, so what it guards is no code.

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// `sweep-off`: what Redis forgets is never found again.
    SweepOff,
    /// `fence-off`: whatever is in hand is sent, whosoever it is by now.
    FenceOff,
    /// `breaker-unbounded`: a receiver that is down is not left alone.
    BreakerUnbounded,
}

/// What is planted in this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planted {
    #[cfg(debug_assertions)]
    bug: Option<Bug>,
}

impl Planted {
    /// By `ONERING_PLANT_BUG`. It is no setting: no user may come upon it.
    #[cfg(debug_assertions)]
    #[expect(clippy::disallowed_methods, reason = "settings are for users, and this is not for them")]
    pub(crate) fn from_environment() -> Self {
        let bug = match std::env::var("ONERING_PLANT_BUG").as_deref() {
            Ok("sweep-off") => Some(Bug::SweepOff),
            Ok("fence-off") => Some(Bug::FenceOff),
            Ok("breaker-unbounded") => Some(Bug::BreakerUnbounded),
            _ => None,
        };
        if let Some(bug) = bug {
            tracing::warn!(?bug, "a bug is planted in this worker");
        }
        Self { bug }
    }

    /// None.
    #[cfg(not(debug_assertions))]
    pub(crate) const fn from_environment() -> Self {
        Self {}
    }

    /// Whether this bug is planted.
    #[cfg(debug_assertions)]
    pub(crate) fn is(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Never.
    #[cfg(not(debug_assertions))]
    pub(crate) const fn is(self, _bug: Bug) -> bool {
        false
    }
}
