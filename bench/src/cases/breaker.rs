use std::hint::black_box;
use std::time::Duration;

use onering_delivery::{Breaker, BreakerPolicy, DatabaseTime, Outlook, Permission, Reach};

use crate::samples::{NOW_UNIX_S, delivery_id};
use crate::{Prepared, routine};

const LEASE: Duration = Duration::from_secs(30);

/// A receiver goes down, fails its first probe and takes the second one.
pub(super) fn outage() -> Prepared {
    let (policy, delivery) = (BreakerPolicy::default(), delivery_id());
    let down_at = DatabaseTime::from_millis(NOW_UNIX_S * 1_000);
    routine(move || {
        let policy = black_box(&policy);
        let mut breaker = black_box(Breaker::HEALTHY);
        let mut changes = [None; 5];
        for _ in 0..policy.failures() {
            changes[0] = breaker.learn(delivery, Reach::Failed, policy, down_at);
        }
        let first_probe = down_at.plus(policy.pause(1));
        changes[1] = breaker.ask(delivery, LEASE, first_probe);
        changes[2] = breaker.learn(delivery, Reach::Failed, policy, first_probe);
        let second_probe = first_probe.plus(policy.pause(2));
        changes[3] = breaker.ask(delivery, LEASE, second_probe);
        changes[4] = breaker.learn(delivery, Reach::Reached, policy, second_probe);
        (changes, breaker)
    })
}

/// Thirty-two deliveries to a receiver that is well: what is asked before each, and what is learnt from it.
pub(super) fn healthy() -> Prepared {
    let (policy, delivery) = (BreakerPolicy::default(), delivery_id());
    let now = DatabaseTime::from_millis(NOW_UNIX_S * 1_000);
    routine(move || {
        let mut breaker = Breaker::HEALTHY;
        (0..32)
            .filter(|_| {
                let breaker = black_box(&mut breaker);
                let goes = breaker.outlook(delivery, now) == Outlook::Clear
                    && breaker.permission(delivery) == Permission::Pass;
                goes && breaker.learn(delivery, Reach::Reached, &policy, now).is_none()
            })
            .count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_opens_twice_and_closes() {
        assert_eq!(
            outage().unwrap().show(),
            "([Some(Opened), Some(Probed), Some(Reopened), Some(Probed), Some(Closed)], Closed { failures: 0 })"
        );
    }

    #[test]
    fn all_go_out() {
        assert_eq!(healthy().unwrap().show(), "32");
    }
}
