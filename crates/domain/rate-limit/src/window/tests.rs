use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HOUR_MS: u64 = HourWindow::SECONDS * MS_PER_SECOND;
/// 2023-11-14 22:00:00 UTC.
const START_MS: u64 = 1_699_999_200_000;

fn policy(hourly: u64, burst_per_second: Option<u64>) -> Policy {
    Policy { hourly, burst_per_second }
}

#[test]
fn hours_are_those_of_the_clock() {
    let window = HourWindow::of(1_700_000_000);
    assert_eq!((window.start_unix_s(), window.reset_unix_s()), (1_699_999_200, 1_700_002_800));
    assert_eq!(HourWindow::of(1_700_002_799), window);
    assert_eq!(HourWindow::of(1_700_002_800).index(), window.index() + 1);
}

#[test]
fn exactly_the_limit_is_admitted_and_remaining_counts_down() {
    let mut window = Window::default();
    let remaining: Vec<_> = (0..15)
        .map(|call| window.take(Policy::hourly(10), Cost::ONE, START_MS + call))
        .map(|outcome| (outcome.is_admitted(), outcome.quota().remaining))
        .collect();
    let expected: Vec<_> =
        (0..10).rev().map(|remaining| (true, remaining)).chain(std::iter::repeat_n((false, 0), 5)).collect();
    assert_eq!(remaining, expected);
}

#[test]
fn a_cost_above_the_rest_is_refused_whole_and_a_smaller_one_still_fits() {
    let mut window = Window::default();
    assert!(window.take(Policy::hourly(10), Cost(8), START_MS).is_admitted());
    let refused = window.take(Policy::hourly(10), Cost(3), START_MS);
    assert!(!refused.is_admitted());
    assert_eq!(refused.quota().remaining, 2);
    assert!(window.take(Policy::hourly(10), Cost(2), START_MS).is_admitted());
    assert!(window.take(Policy::hourly(10), Cost(0), START_MS).is_admitted(), "what costs nothing always fits");
}

#[test]
fn retry_after_leads_into_the_next_hour() {
    let mut window = Window::default();
    for (into_the_hour_ms, seconds) in [(0, 3_600), (1, 3_600), (HOUR_MS - 1_000, 1), (HOUR_MS - 1, 1)] {
        let now = START_MS + into_the_hour_ms;
        let Outcome::Refused { retry_after_s, window: RefusedBy::Hour, quota } =
            window.take(Policy::hourly(0), Cost::ONE, now)
        else {
            panic!("a limit of nothing admits nothing");
        };
        assert_eq!(retry_after_s, seconds);
        assert_eq!(quota.reset_unix_s, (START_MS + HOUR_MS) / MS_PER_SECOND);
    }
    assert!(window.take(Policy::hourly(1), Cost::ONE, START_MS + HOUR_MS).is_admitted());
}

#[test]
fn a_burst_counts_calls_and_a_batch_is_one() {
    let mut window = Window::default();
    let policy = policy(1_000, Some(2));
    assert!(window.take(policy, Cost(500), START_MS).is_admitted());
    assert!(window.take(policy, Cost::ONE, START_MS + 999).is_admitted());
    let refused = window.take(policy, Cost::ONE, START_MS + 999);
    assert!(matches!(refused, Outcome::Refused { retry_after_s: 1, window: RefusedBy::Second, .. }));
    assert_eq!(refused.quota().remaining, 499, "a call refused by the second takes nothing from the hour");
    assert!(window.take(policy, Cost::ONE, START_MS + 1_000).is_admitted());
}

#[test]
fn the_hour_is_named_when_both_refuse() {
    let mut window = Window::default();
    let policy = policy(1, Some(1));
    assert!(window.take(policy, Cost::ONE, START_MS).is_admitted());
    let refused = window.take(policy, Cost::ONE, START_MS);
    assert!(matches!(refused, Outcome::Refused { window: RefusedBy::Hour, .. }));
}

#[test]
fn a_lowered_limit_holds_at_once_and_a_raised_one_too() {
    let mut window = Window::default();
    assert!(window.take(Policy::hourly(100), Cost(50), START_MS).is_admitted());
    assert_eq!(window.quota(Policy::hourly(10), START_MS).remaining, 0);
    assert!(!window.take(Policy::hourly(10), Cost::ONE, START_MS).is_admitted());
    assert_eq!(window.quota(Policy::hourly(1_000), START_MS).remaining, 950);
}

#[test]
fn a_clock_set_back_hands_out_no_second_quota() {
    let mut window = Window::default();
    assert!(window.take(Policy::hourly(1), Cost::ONE, START_MS + HOUR_MS).is_admitted());
    let refused = window.take(Policy::hourly(1), Cost::ONE, START_MS);
    assert!(matches!(refused, Outcome::Refused { retry_after_s: 7_200, .. }), "{refused:?}");
    assert!(!window.take(Policy::hourly(1), Cost::ONE, START_MS + HOUR_MS).is_admitted());
}

/// Calls as (milliseconds since the one before, cost).
fn calls() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let pause = prop_oneof![8 => 0_u64..400, 1 => 0..HOUR_MS];
    vec((pause, 0_u32..8), 1..120)
}

fn run(policy: Policy, calls: &[(u64, u32)]) -> Vec<(u64, u32, Outcome)> {
    let mut window = Window::default();
    let mut now = START_MS;
    let decide = |(pause, cost): &(u64, u32)| {
        now += pause;
        (now, *cost, window.take(policy, Cost(*cost), now))
    };
    calls.iter().map(decide).collect()
}

proptest! {
    #[test]
    fn admitted_is_the_smaller_of_asked_and_limit(limit in 0_u64..60, asked in 0_u64..80) {
        let mut window = Window::default();
        let admitted =
            (0..asked).filter(|_| window.take(Policy::hourly(limit), Cost::ONE, START_MS).is_admitted()).count();
        prop_assert_eq!(admitted as u64, asked.min(limit));
    }

    #[test]
    fn no_hour_and_no_second_exceeds_its_limit(limit in 0_u64..60, burst in 1_u64..5, calls in calls()) {
        let mut hours = std::collections::HashMap::<u64, u64>::new();
        let mut seconds = std::collections::HashMap::<u64, u64>::new();
        for (now, cost, outcome) in run(policy(limit, Some(burst)), &calls) {
            if outcome.is_admitted() {
                *hours.entry(now / HOUR_MS).or_default() += u64::from(cost);
                *seconds.entry(now / MS_PER_SECOND).or_default() += 1;
            }
        }
        prop_assert!(hours.values().all(|used| *used <= limit));
        prop_assert!(seconds.values().all(|calls| *calls <= burst));
    }

    #[test]
    fn refused_calls_leave_no_trace(limit in 0_u64..60, burst in proptest::option::of(1_u64..5), calls in calls()) {
        let policy = policy(limit, burst);
        let all = run(policy, &calls);
        let mut only_admitted = Window::default();
        for (now, cost, outcome) in all.into_iter().filter(|(.., outcome)| outcome.is_admitted()) {
            prop_assert_eq!(only_admitted.take(policy, Cost(cost), now), outcome);
        }
    }

    #[test]
    fn waiting_as_told_lets_the_call_pass(limit in 8_u64..60, burst in 1_u64..5, calls in calls()) {
        let policy = policy(limit, Some(burst));
        let mut window = Window::default();
        let mut now = START_MS;
        for (pause, cost) in calls {
            now += pause;
            while let Outcome::Refused { retry_after_s, .. } = window.take(policy, Cost(cost), now) {
                prop_assert!((1..=HourWindow::SECONDS).contains(&retry_after_s));
                now += retry_after_s * MS_PER_SECOND;
                let quota = window.quota(policy, now);
                prop_assert!(u64::from(cost) <= quota.remaining);
            }
        }
    }
}
