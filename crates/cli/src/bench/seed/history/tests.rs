use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use onering_delivery::Status;
use onering_metrics_model::Precision;

use super::super::plan::{Plan, Waiting};
use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-22T13:00:00Z".parse().unwrap()
}

/// All that a plan has made.
struct Past {
    events: Vec<(EventId, u32, NaiveDate)>,
    deliveries: Vec<(DeliveryId, EventId, SubscriptionId, SeedState, u16)>,
    attempts: Vec<(DeliveryId, u16, AttemptOutcome, DateTime<Utc>)>,
}

fn past(plan: &Plan) -> Past {
    let population = Population::new(plan, now()).unwrap();
    let mut past = Past { events: Vec::new(), deliveries: Vec::new(), attempts: Vec::new() };
    for stretch in plan.stretches(now()) {
        let day = stretch.day;
        let history = History::new(&population, stretch, now());
        past.events.extend(history.events().map(|row| (row.event_id, row.matched, day)));
        past.deliveries.extend(
            history.deliveries().map(|row| (row.delivery_id, row.event_id, row.webhook_id, row.state, row.attempts)),
        );
        let ended = |row: &SeedAttempt<'_>| row.started_at + TimeDelta::milliseconds(row.duration_ms.into());
        past.attempts.extend(history.attempts().map(|row| (row.delivery_id, row.attempt, row.outcome, ended(&row))));
    }
    past
}

fn plan() -> Plan {
    Plan { days: 3, ..Plan::new(20_000, 100, 42) }
}

#[test]
fn every_event_has_the_deliveries_it_promises_and_of_them_as_many_as_wanted() {
    let past = past(&plan());
    assert_eq!(past.deliveries.len(), 20_000);
    let mut found: HashMap<EventId, u32> = HashMap::new();
    past.deliveries.iter().for_each(|(_, event_id, ..)| *found.entry(*event_id).or_default() += 1);
    for (event_id, matched, _) in &past.events {
        assert!(*matched > 0 && found.remove(event_id) == Some(*matched), "{event_id}");
    }
    assert!(found.is_empty());
    let pairs: HashSet<_> =
        past.deliveries.iter().map(|(_, event_id, webhook_id, ..)| (event_id, webhook_id)).collect();
    let ids: HashSet<_> = past.deliveries.iter().map(|(delivery_id, ..)| delivery_id).collect();
    assert_eq!((pairs.len(), ids.len()), (20_000, 20_000));
}

#[test]
fn ids_are_of_their_day_and_of_their_event() {
    let past = past(&plan());
    let days: HashSet<NaiveDate> = past.events.iter().map(|(_, _, day)| *day).collect();
    assert_eq!(days.len(), 4, "three times 24 hours lie on four days");
    for (event_id, _, day) in past.events {
        let at = DateTime::from_timestamp_millis(event_id.unix_ms() as i64).unwrap();
        assert!(at.date_naive() == day && at < now(), "{at} {day}");
    }
    for (delivery_id, event_id, ..) in past.deliveries {
        assert_eq!(delivery_id.uuid().as_u64_pair().0, event_id.uuid().as_u64_pair().0);
    }
}

#[test]
fn attempts_are_those_that_their_deliveries_count() {
    let past = past(&plan());
    let mut attempts: HashMap<DeliveryId, Vec<_>> = HashMap::new();
    for (delivery_id, number, outcome, ended_at) in past.attempts {
        attempts.entry(delivery_id).or_default().push((number, outcome, ended_at));
    }
    let mut of_status: HashMap<Status, usize> = HashMap::new();
    for (delivery_id, _, _, state, count) in past.deliveries {
        *of_status.entry(state.status()).or_default() += 1;
        let made = attempts.remove(&delivery_id).unwrap_or_default();
        assert!(made.iter().map(|(number, ..)| *number).eq(1..=count), "{state:?} {made:?}");
        assert!(made.is_sorted_by_key(|(_, _, ended_at)| *ended_at));
        let (_, outcome, ended_at) = *made.last().unwrap();
        let expected = match state {
            SeedState::Delivered { at, latency_ms } => {
                assert_eq!(Precision::TWO_DIGITS.bucket_of(latency_ms.into()), u64::from(latency_ms));
                (AttemptOutcome::Delivered, at)
            }
            SeedState::Dead { at } => (AttemptOutcome::Dead, at),
            SeedState::ReplayExpired { at } => (AttemptOutcome::ReplayExpired, at),
            SeedState::Retrying { next_attempt_at } => {
                assert!(next_attempt_at > now() + TimeDelta::days(20));
                (AttemptOutcome::Retry, ended_at)
            }
            SeedState::Pending { .. } => panic!("nothing waits for its first attempt"),
        };
        assert_eq!((outcome, ended_at), expected);
        assert!(ended_at <= now(), "{state:?}");
    }
    assert!(attempts.is_empty());
    assert!(of_status[&Status::Delivered] > 19_000 && of_status[&Status::Delivered] < 19_800, "{of_status:?}");
    assert!([Status::Dead, Status::ReplayExpired, Status::Retrying].iter().all(|status| of_status[status] > 30));
}

#[test]
fn the_same_number_makes_the_same_past() {
    let again = |seed| past(&Plan { seed, ..plan() }).deliveries;
    assert_eq!(again(1), again(1));
    assert_ne!(again(1)[0], again(2)[0]);
}

#[test]
fn what_waits_goes_where_it_is_to_go() {
    let to = ("acme".parse().unwrap(), SubscriptionId::from_uuid(Uuid::from_u128(5)));
    for (is_due, to) in [(true, Some(to.clone())), (false, None)] {
        let waiting = Waiting { deliveries: 50, is_due, to: to.clone() };
        let plan = Plan { waiting: Some(waiting), ..Plan::new(0, 10, 3) };
        let past = past(&plan);
        assert_eq!((past.deliveries.len(), past.attempts.len()), (50, 0));
        for (_, _, webhook_id, state, _) in past.deliveries {
            assert!(to.as_ref().is_none_or(|(_, id)| *id == webhook_id));
            assert!(matches!(state, SeedState::Pending { queued_until } if (queued_until < now()) == is_due));
        }
    }
}

#[test]
fn a_body_is_about_500_bytes_of_json() {
    let event_id = EventId::from_uuid(Uuid::from_u128(1 << 100));
    let body = body(event_id, "ring.forged", now(), Dice::of(1, 1, 1));
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&value["event_id"], &value["event_type"]), (&event_id.to_string().into(), &"ring.forged".into()));
    assert!((490..=530).contains(&body.len()), "{}", body.len());
}
