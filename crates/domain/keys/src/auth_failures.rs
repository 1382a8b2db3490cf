use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

const MINUTE_S: u64 = 60;

/// Counts failed authentications by address, in clock minutes.
///
/// An address with more than [`AuthFailures::LIMIT`] in a minute gets 429 for its further ones. It is not a ban: a good
/// token passes whatever its neighbours do.
///
/// Memory is bounded. When more addresses fail in a minute than fit, the late ones share one count.
#[derive(Debug)]
pub struct AuthFailures {
    minute: u64,
    by_origin: HashMap<IpAddr, u32>,
    late_ones: u32,
    capacity: usize,
}

impl AuthFailures {
    /// Failures an address has free in each minute.
    pub const LIMIT: u32 = 20;

    /// Addresses told apart by default: some megabytes.
    pub const DEFAULT_CAPACITY: usize = 65_536;

    /// Counts for so many addresses apart.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { minute: 0, by_origin: HashMap::new(), late_ones: 0, capacity }
    }

    /// Whether the address has used up its failures for this minute: its next one is refused with 429.
    #[must_use]
    pub fn exceeded(&self, address: IpAddr, now_unix_s: u64) -> bool {
        // A minute that has begun since the last failure has none yet.
        now_unix_s / MINUTE_S <= self.minute && self.count(origin(address)) >= Self::LIMIT
    }

    /// Counts a failure of the address.
    pub fn record(&mut self, address: IpAddr, now_unix_s: u64) {
        let minute = now_unix_s / MINUTE_S;
        if minute > self.minute {
            self.minute = minute;
            self.by_origin.clear();
            self.late_ones = 0;
        }
        let origin = origin(address);
        let has_room = self.by_origin.len() < self.capacity;
        let count = match self.by_origin.get_mut(&origin) {
            Some(count) => count,
            None if has_room => self.by_origin.entry(origin).or_default(),
            None => &mut self.late_ones,
        };
        *count = count.saturating_add(1);
    }

    /// Seconds until the counts begin anew, at least 1: for `Retry-After`.
    #[must_use]
    pub const fn retry_after_s(now_unix_s: u64) -> u64 {
        MINUTE_S - now_unix_s % MINUTE_S
    }

    fn count(&self, origin: IpAddr) -> u32 {
        let is_full = self.by_origin.len() >= self.capacity;
        let others = if is_full { self.late_ones } else { 0 };
        self.by_origin.get(&origin).copied().unwrap_or(others)
    }
}

impl Default for AuthFailures {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }
}

/// What counts as one address: for IPv6 the /64, as a single host commonly has all of it to itself.
fn origin(address: IpAddr) -> IpAddr {
    const NETWORK_HALF: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_HALF)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(failures: &mut AuthFailures, from: &str, times: u32, now: u64) {
        for _ in 0..times {
            failures.record(address(from), now);
        }
    }

    #[test]
    fn the_twenty_first_in_a_minute_is_too_many() {
        let mut failures = AuthFailures::default();
        fail(&mut failures, "203.0.113.7", 19, NOW);
        assert!(!failures.exceeded(address("203.0.113.7"), NOW));
        fail(&mut failures, "203.0.113.7", 1, NOW);
        assert!(failures.exceeded(address("203.0.113.7"), NOW));
        assert!(!failures.exceeded(address("203.0.113.8"), NOW));
    }

    #[test]
    fn a_new_minute_is_a_new_start() {
        let mut failures = AuthFailures::default();
        fail(&mut failures, "203.0.113.7", 25, NOW);
        let next_minute = NOW + AuthFailures::retry_after_s(NOW);
        assert!(failures.exceeded(address("203.0.113.7"), next_minute - 1));
        assert!(!failures.exceeded(address("203.0.113.7"), next_minute));
        fail(&mut failures, "203.0.113.7", 1, next_minute);
        assert!(!failures.exceeded(address("203.0.113.7"), next_minute));
    }

    #[test]
    fn the_wait_is_within_the_minute() {
        for (second, wait) in [(0, 60), (1, 59), (59, 1)] {
            assert_eq!(AuthFailures::retry_after_s(1_699_999_980 + second), wait);
        }
    }

    #[test]
    fn a_host_with_many_addresses_is_one_origin() {
        let mut failures = AuthFailures::default();
        for host in 0..20 {
            failures.record(address(&format!("2001:db8:0:1::{host:x}")), NOW);
        }
        assert!(failures.exceeded(address("2001:db8:0:1:ffff::"), NOW));
        assert!(!failures.exceeded(address("2001:db8:0:2::"), NOW));
        fail(&mut failures, "::ffff:203.0.113.7", 20, NOW);
        assert!(failures.exceeded(address("203.0.113.7"), NOW));
        assert!(!failures.exceeded(address("203.0.113.8"), NOW));
    }

    #[test]
    fn memory_is_bounded_and_the_late_ones_share_a_count() {
        let mut failures = AuthFailures::with_capacity(2);
        fail(&mut failures, "203.0.113.1", 1, NOW);
        fail(&mut failures, "203.0.113.2", 1, NOW);
        for late in 3..23 {
            fail(&mut failures, &format!("203.0.113.{late}"), 1, NOW);
        }
        assert_eq!(failures.by_origin.len(), 2);
        assert!(failures.exceeded(address("203.0.113.200"), NOW));
        assert!(!failures.exceeded(address("203.0.113.1"), NOW), "the early ones keep their own");
        assert!(!failures.exceeded(address("203.0.113.200"), NOW + 60));
    }
}
