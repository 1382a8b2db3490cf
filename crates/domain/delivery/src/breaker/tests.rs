use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);
const LEASE: Duration = Duration::from_secs(25);

fn delivery(number: u8) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn later(seconds: u64) -> DatabaseTime {
    NOW.plus(Duration::from_secs(seconds))
}

fn ask(breaker: &mut Breaker, number: u8, now: DatabaseTime) -> (Permission, Option<BreakerChange>) {
    let change = breaker.ask(delivery(number), LEASE, now);
    (breaker.permission(delivery(number)), change)
}

/// A breaker that five failures have just opened.
fn opened() -> Breaker {
    let mut breaker = Breaker::HEALTHY;
    for number in 1..=5 {
        let change = breaker.learn(delivery(number), Reach::Failed, &BreakerPolicy::default(), NOW);
        assert_eq!(change, (number == 5).then_some(BreakerChange::Opened));
    }
    breaker
}

#[test]
fn five_failures_in_a_row_open_it_for_a_minute() {
    assert_eq!(opened(), Breaker::Open { opens: 1, until: later(60) });
}

#[test]
fn a_success_in_between_starts_the_count_again() {
    let mut breaker = Breaker::HEALTHY;
    for _ in 0..10 {
        for _ in 0..4 {
            assert_eq!(breaker.learn(delivery(1), Reach::Failed, &BreakerPolicy::default(), NOW), None);
        }
        assert_eq!(breaker.learn(delivery(2), Reach::Reached, &BreakerPolicy::default(), NOW), None);
        assert!(breaker.is_healthy());
    }
}

#[test]
fn one_probe_after_the_pause_and_its_success_closes() {
    let mut breaker = opened();
    assert_eq!(ask(&mut breaker, 6, later(59)), (Permission::Wait(later(60)), None));
    assert_eq!(ask(&mut breaker, 6, later(60)), (Permission::Probe, Some(BreakerChange::Probed)));
    assert_eq!(ask(&mut breaker, 7, later(61)), (Permission::Wait(later(85)), None));
    assert_eq!(ask(&mut breaker, 6, later(61)), (Permission::Probe, None), "the same one, asking again");
    let mut learn = |number, reach| breaker.learn(delivery(number), reach, &BreakerPolicy::default(), later(62));
    assert_eq!(learn(7, Reach::Reached), None, "a straggler");
    assert_eq!(learn(7, Reach::Failed), None, "a straggler");
    assert_eq!(learn(6, Reach::Reached), Some(BreakerChange::Closed));
    assert!(breaker.is_healthy());
}

#[test]
fn while_open_stragglers_change_nothing() {
    for reach in [Reach::Reached, Reach::Failed] {
        let mut breaker = opened();
        assert_eq!(breaker.learn(delivery(9), reach, &BreakerPolicy::default(), later(90)), None);
        assert_eq!(breaker, opened());
    }
}

#[test]
fn pauses_double_up_to_a_quarter_of_an_hour() {
    let (mut breaker, mut now) = (opened(), NOW);
    for (opens, pause) in [(1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900)] {
        assert_eq!(breaker, Breaker::Open { opens, until: now.plus(Duration::from_secs(pause)) });
        assert_eq!(breaker.failures(&BreakerPolicy::default()), 4 + opens);
        now = now.plus(Duration::from_secs(pause));
        ask(&mut breaker, 1, now);
        let change = breaker.learn(delivery(1), Reach::Failed, &BreakerPolicy::default(), now);
        assert_eq!(change, Some(BreakerChange::Reopened));
    }
}

#[test]
fn a_probe_that_is_lost_gives_its_token_up_after_its_lease() {
    let mut breaker = opened();
    ask(&mut breaker, 1, later(60));
    assert!(!breaker.wants_probe(later(84)));
    assert!(breaker.wants_probe(later(85)));
    assert_eq!(ask(&mut breaker, 2, later(85)), (Permission::Probe, Some(BreakerChange::Probed)));
    let late = breaker.learn(delivery(1), Reach::Reached, &BreakerPolicy::default(), later(86));
    assert_eq!((late, breaker.is_closed()), (None, false), "it is no longer the probe");
}

#[test]
fn the_outlook_sends_to_ask_whoever_may_get_another_answer() {
    let mut breaker = opened();
    assert_eq!(Breaker::HEALTHY.outlook(delivery(1), NOW), Outlook::Clear);
    assert_eq!(breaker.outlook(delivery(1), later(59)), Outlook::Wait);
    assert_eq!(breaker.outlook(delivery(1), later(60)), Outlook::Ask);
    ask(&mut breaker, 1, later(60));
    assert_eq!(breaker.outlook(delivery(1), later(61)), Outlook::Clear);
    assert_eq!(breaker.outlook(delivery(2), later(61)), Outlook::Wait, "there is a probe under way");
    assert_eq!(breaker.outlook(delivery(1), later(85)), Outlook::Ask, "its token may have gone to another");
    assert_eq!(breaker.outlook(delivery(2), later(85)), Outlook::Ask, "or may come to this one");
}

#[test]
fn policies_that_cannot_be_used() {
    let [none, second, day] = [0, 1, 86_400].map(Duration::from_secs);
    assert!(BreakerPolicy::new(1, second, day).is_ok());
    assert_eq!(BreakerPolicy::new(0, second, day), Err(BreakerPolicyError::Failures { given: 0 }));
    assert_eq!(BreakerPolicy::new(1_001, second, day), Err(BreakerPolicyError::Failures { given: 1_001 }));
    assert_eq!(BreakerPolicy::new(1, none, day), Err(BreakerPolicyError::Pause));
    assert_eq!(BreakerPolicy::new(1, second, day + second), Err(BreakerPolicyError::Pause));
    assert_eq!(BreakerPolicy::new(1, day, second), Err(BreakerPolicyError::LongestBelowFirst));
    let [first, longest] = [60, 900].map(Duration::from_secs);
    assert_eq!(BreakerPolicy::new(5, first, longest), Ok(BreakerPolicy::default()));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u64),
    Learn(u8, Reach),
    Ask(u8),
}

fn reaches() -> impl Strategy<Value = Reach> {
    prop_oneof![2 => Just(Reach::Failed), 1 => Just(Reach::Reached)]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => prop::sample::select(vec![0, 1, 24, 25, 59, 60, 120, 900]).prop_map(Step::Pass),
        3 => (0_u8..4, reaches()).prop_map(|(number, reach)| Step::Learn(number, reach)),
        3 => (0_u8..4).prop_map(Step::Ask),
    ]
}

fn breakers() -> impl Strategy<Value = Breaker> {
    let at = || any::<i64>().prop_map(DatabaseTime::from_micros);
    prop_oneof![
        any::<u32>().prop_map(|failures| Breaker::Closed { failures }),
        (any::<u32>(), at()).prop_map(|(opens, until)| Breaker::Open { opens, until }),
        (any::<u32>(), 0_u8..3, at()).prop_map(|(opens, number, until)| Breaker::HalfOpen {
            opens,
            probe: delivery(number),
            until
        }),
    ]
}

proptest! {
    /// What a bystander sees who knows nothing of states: permissions given, results that came, and the time.
    #[test]
    fn a_receiver_that_fails_is_left_alone(steps in prop::collection::vec(steps(), 1..300)) {
        let policy = BreakerPolicy::default();
        let (mut breaker, mut now) = (Breaker::HEALTHY, NOW);
        let mut in_a_row = 0;
        // How often it opened since it was closed, and when last; the probe under way, and until when it is waited for.
        let mut open: Option<(u32, DatabaseTime)> = None;
        let mut probe: Option<(u8, DatabaseTime)> = None;
        for step in steps {
            match step {
                Step::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Step::Ask(number) => match (ask(&mut breaker, number, now), open) {
                    ((Permission::Pass, None), None) => {}
                    ((Permission::Probe, change), Some((opens, at))) => {
                        prop_assert!(now >= at.plus(policy.pause(opens)), "not before the pause is over");
                        let other = probe.is_some_and(|(other, until)| other != number && now < until);
                        prop_assert!(!other, "never two probes at once");
                        let again = probe.is_some_and(|(same, _)| same == number);
                        prop_assert_eq!(change, (!again).then_some(BreakerChange::Probed));
                        probe = Some((number, now.plus(LEASE)));
                    }
                    ((Permission::Wait(until), None), Some((opens, at))) => {
                        let expected = probe.map_or(at.plus(policy.pause(opens)), |(_, until)| until);
                        prop_assert_eq!(until, expected);
                        prop_assert!(now < until, "whoever waits waits for something");
                    }
                    (answer, open) => prop_assert!(false, "{answer:?} while {open:?}"),
                },
                Step::Learn(number, reach) => {
                    let change = breaker.learn(delivery(number), reach, &policy, now);
                    let expected = match (open, probe) {
                        (None, _) => {
                            in_a_row = if reach == Reach::Failed { in_a_row + 1 } else { 0 };
                            (in_a_row == 5).then_some(BreakerChange::Opened)
                        }
                        (Some(_), Some((probe, _))) if probe == number => Some(match reach {
                            Reach::Reached => BreakerChange::Closed,
                            Reach::Failed => BreakerChange::Reopened,
                        }),
                        (Some(_), _) => None,
                    };
                    prop_assert_eq!(change, expected);
                    match change {
                        Some(BreakerChange::Opened) => open = Some((1, now)),
                        Some(BreakerChange::Reopened) => open = open.map(|(opens, _)| (opens + 1, now)),
                        Some(BreakerChange::Closed) => open = None,
                        Some(BreakerChange::Probed) | None => continue,
                    }
                    (probe, in_a_row) = (None, 0);
                }
            }
        }
    }

    #[test]
    fn nothing_overflows_and_a_probe_leads_out_of_any_state(
        breaker in breakers(),
        inputs in prop::collection::vec((0_u8..4, reaches(), any::<bool>(), any::<u64>(), any::<i64>()), 0..20),
        failures in 1_u64..=1000,
        first in 1_u64..=86_400,
    ) {
        let first = Duration::from_secs(first);
        let policy = BreakerPolicy::new(failures, first, BreakerPolicy::LONGEST_PAUSE).unwrap();
        let mut breaker = breaker;
        for (number, reach, asks, lease, micros) in inputs {
            let now = DatabaseTime::from_micros(micros);
            if asks {
                breaker.ask(delivery(number), Duration::from_secs(lease), now);
            } else {
                breaker.learn(delivery(number), reach, &policy, now);
            }
            let _ = (breaker.outlook(delivery(number), now), breaker.wants_probe(now), breaker.failures(&policy));
        }
        let end = DatabaseTime::from_micros(i64::MAX);
        if ask(&mut breaker, 1, end).0 == Permission::Probe {
            prop_assert_eq!(breaker.learn(delivery(1), Reach::Reached, &policy, end), Some(BreakerChange::Closed));
        }
        prop_assert!(breaker.is_closed());
        for opens in [0, 1, 2, 40, u32::MAX] {
            prop_assert!((first..=BreakerPolicy::LONGEST_PAUSE).contains(&policy.pause(opens)));
        }
    }
}
