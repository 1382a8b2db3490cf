use crate::policy::{Cost, Policy};

const MS_PER_SECOND: u64 = 1_000;

/// A fixed UTC clock hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HourWindow(u64);

impl HourWindow {
    /// The length of a window.
    pub const SECONDS: u64 = 3_600;

    /// The window an instant lies in.
    #[must_use]
    pub const fn of(unix_s: u64) -> Self {
        Self(unix_s / Self::SECONDS)
    }

    /// Hours since 1970: a short name for the window.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0
    }

    /// Its first second, in Unix time.
    #[must_use]
    pub const fn start_unix_s(self) -> u64 {
        self.0 * Self::SECONDS
    }

    /// The first second after it, in Unix time: when the count begins anew.
    #[must_use]
    pub const fn reset_unix_s(self) -> u64 {
        self.start_unix_s() + Self::SECONDS
    }
}

/// The state of an hour's limit right after a decision, as the headers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Units of cost an hour.
    pub limit: u64,
    /// Units left in this hour.
    pub remaining: u64,
    /// When the next hour begins, in Unix seconds.
    pub reset_unix_s: u64,
}

/// Which of the two limits refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedBy {
    /// The hour has fewer units left than the call costs.
    Hour,
    /// The second has had as many calls as it may.
    Second,
}

/// The answer to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The call was counted and goes on.
    Admitted(Quota),
    /// The call was not counted.
    Refused {
        /// The state of the hour, unchanged by this call.
        quota: Quota,
        /// Seconds until the limit that refused begins anew: at least 1.
        retry_after_s: u64,
        /// The limit that refused; the hour, when both would.
        window: RefusedBy,
    },
}

impl Outcome {
    /// The state of the hour, for the headers.
    #[must_use]
    pub const fn quota(&self) -> &Quota {
        match self {
            Self::Admitted(quota) | Self::Refused { quota, .. } => quota,
        }
    }

    /// Whether the call goes on.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted(_))
    }
}

/// One key's counters: the reference model of the Redis script, and what a replica counts with when Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    hour: HourWindow,
    used_in_hour: u64,
    second: u64,
    calls_in_second: u64,
}

impl Window {
    /// Decides one call and counts it if it is admitted.
    ///
    /// The policy is an argument and not part of the state, so a changed limit holds from the next call on: what was
    /// used stays used. Time that steps back stays in the window it had reached, so a clock set back cannot hand out
    /// the same hour's quota twice.
    pub fn take(&mut self, policy: Policy, cost: Cost, now_unix_ms: u64) -> Outcome {
        self.advance(now_unix_ms);
        let refused = |quota: Quota, window: RefusedBy| Outcome::Refused {
            quota,
            retry_after_s: match window {
                RefusedBy::Hour => (quota.reset_unix_s.saturating_mul(MS_PER_SECOND))
                    .saturating_sub(now_unix_ms)
                    .div_ceil(MS_PER_SECOND),
                RefusedBy::Second => 1,
            },
            window,
        };
        let before = self.quota_now(policy);
        if cost.units() > before.remaining {
            return refused(before, RefusedBy::Hour);
        }
        if policy.burst_per_second.is_some_and(|burst| self.calls_in_second >= burst) {
            return refused(before, RefusedBy::Second);
        }
        self.used_in_hour += cost.units();
        self.calls_in_second += 1;
        Outcome::Admitted(self.quota_now(policy))
    }

    /// The state of the hour without taking anything.
    #[must_use]
    pub fn quota(&self, policy: Policy, now_unix_ms: u64) -> Quota {
        let mut window = *self;
        window.advance(now_unix_ms);
        window.quota_now(policy)
    }

    /// The hour that was last counted in: a window of the past holds nothing worth keeping.
    #[must_use]
    pub const fn hour(&self) -> HourWindow {
        self.hour
    }

    fn advance(&mut self, now_unix_ms: u64) {
        let second = now_unix_ms / MS_PER_SECOND;
        let hour = HourWindow::of(second);
        if hour > self.hour {
            self.hour = hour;
            self.used_in_hour = 0;
        }
        if second > self.second {
            self.second = second;
            self.calls_in_second = 0;
        }
    }

    const fn quota_now(&self, policy: Policy) -> Quota {
        Quota {
            limit: policy.hourly,
            remaining: policy.hourly.saturating_sub(self.used_in_hour),
            reset_unix_s: self.hour.reset_unix_s(),
        }
    }
}

#[cfg(test)]
mod tests;
