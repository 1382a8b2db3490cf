use std::num::NonZeroU32;

use onering_clock::Clock;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::lane_limit::Ending;

const ROOM: Room = Room { attempts: 1_000, items: 1_000, bytes: 1_000_000 };

fn subscription(number: u8) -> SubscriptionId {
    SubscriptionId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn pace(max_in_flight: u32, per_second: Option<u32>) -> Pace {
    Pace { max_in_flight: NonZeroU32::new(max_in_flight).unwrap(), per_second: per_second.and_then(NonZeroU32::new) }
}

fn now() -> Instant {
    Clock::system().monotonic()
}

fn offer<T>(lanes: &mut Lanes<T>, number: u8, pace: Pace, item: T) -> Result<(), Overflow<T>> {
    lanes.offer(subscription(number), pace, item, 0, now())
}

fn freed(number: u8, bytes: usize) -> Freed {
    Freed { subscription: subscription(number), bytes, over: None }
}

#[test]
fn a_full_lane_leaves_the_others_alone() {
    let mut lanes = Lanes::new(ROOM);
    for item in 0..100 {
        let offered = offer(&mut lanes, 1, pace(1, None), (1, item));
        assert_eq!(offered.is_ok(), item < 16, "item {item}");
    }
    offer(&mut lanes, 2, pace(1, None), (2, 0)).unwrap();
    assert_eq!(lanes.take(now()), Some((1, 0)));
    assert_eq!(lanes.take(now()), Some((2, 0)));
    assert_eq!(lanes.take(now()), None, "lane 1 has its one attempt under way");
    lanes.finished(freed(1, 0), now());
    assert_eq!(lanes.take(now()), Some((1, 1)));
}

#[test]
fn lanes_take_turns() {
    let mut lanes = Lanes::new(ROOM);
    for number in 1..=3 {
        for item in 0..2 {
            offer(&mut lanes, number, pace(64, None), (number, item)).unwrap();
        }
    }
    let order: Vec<_> = std::iter::from_fn(|| lanes.take(now())).collect();
    assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1)]);
}

#[test]
fn a_rate_limit_spaces_starts() {
    let mut lanes = Lanes::new(ROOM);
    let start = now();
    for item in 0..3 {
        lanes.offer(subscription(1), pace(64, Some(10)), item, 0, start).unwrap();
    }
    assert_eq!(lanes.take(start), Some(0));
    assert_eq!(lanes.take(start), None);
    assert_eq!(lanes.next_wake(start), Some(Duration::from_millis(100)));
    // Woken late, the next start is still counted from when this one was due.
    assert_eq!(lanes.take(start + Duration::from_millis(130)), Some(1));
    assert_eq!(lanes.take(start + Duration::from_millis(199)), None);
    assert_eq!(lanes.take(start + Duration::from_millis(200)), Some(2));
}

#[test]
fn a_rate_limited_lane_keeps_two_seconds_of_places_and_the_rest_comes_back_on_time() {
    let mut lanes = Lanes::new(ROOM);
    let start = now();
    let offers = (0..10_000).map(|item| lanes.offer(subscription(1), pace(64, Some(10)), item, 0, start));
    let pauses: Vec<Duration> = offers.filter_map(|offered| Some(offered.err()?.pause)).collect();
    assert_eq!(lanes.queued(), 20);
    assert_eq!(pauses[0], Duration::from_millis(200));
    assert_eq!(pauses[4_999], Duration::from_millis(500_100), "once, when it is its turn, and not every minute");
}

#[test]
fn an_idle_lane_is_remembered_for_its_limit_and_its_rate_and_then_forgotten() {
    let mut lanes = Lanes::new(ROOM);
    let start = now();
    for (number, per_second) in [(1, None), (2, Some(1))] {
        lanes.offer(subscription(number), pace(64, per_second), number, 0, start).unwrap();
        lanes.take(start).unwrap();
    }
    assert_eq!(lanes.busy(), 2);
    for (number, ending) in [(1, Ending::TimedOut), (2, Ending::Taken)] {
        lanes.finished(Freed { over: Some(Over { started: start, ending }), ..freed(number, 0) }, start);
    }
    assert_eq!((lanes.busy(), lanes.queued()), (0, 0));
    lanes.forget_idle(start + Duration::from_secs(59));
    assert_eq!(lanes.lanes[&subscription(1)].limit.of(NonZeroU32::MAX), 8);
    assert_eq!(lanes.take(start), None);
    lanes.forget_idle(start + Duration::from_secs(60));
    assert!(lanes.lanes.is_empty());
}

#[test]
fn however_many_lanes_are_full_another_finds_room() {
    let mut lanes = Lanes::new(ROOM);
    let mut queued = Vec::new();
    for number in 0..60 {
        let before = lanes.queued();
        while offer(&mut lanes, number, pace(64, None), number).is_ok() {}
        queued.push(lanes.queued() - before);
    }
    assert_eq!(queued[..5], [256, 256, 244, 122, 61]);
    assert!(queued.iter().all(|count| *count >= QUEUED_PER_SLOT), "{queued:?}");
    assert!(lanes.queued() <= ROOM.items + 60 * QUEUED_PER_SLOT);
}

#[test]
fn however_many_receivers_are_slow_another_finds_a_slot() {
    let mut lanes = Lanes::new(Room { attempts: 32, items: 32, ..ROOM });
    let mut under_way = Vec::new();
    for number in 0..10 {
        for _ in 0..16 {
            offer(&mut lanes, number, pace(16, None), number).unwrap();
        }
        while lanes.take(now()).is_some() {}
        under_way.push(lanes.lanes[&subscription(number)].in_flight);
    }
    assert_eq!(under_way, [14, 7, 4, 2, 1, 1, 1, 1, 1, 0]);
}

/// Few large bodies are as much as many small ones.
#[test]
fn bytes_are_shared_as_places_are() {
    let mut lanes = Lanes::new(Room { bytes: 100, ..ROOM });
    let fill = |lanes: &mut Lanes<u8>, number, bytes| {
        let offered = (0..50).map(|_| lanes.offer(subscription(number), pace(64, None), number, bytes, now()));
        offered.filter(Result::is_ok).count()
    };
    assert_eq!(fill(&mut lanes, 1, 10), 5, "half of what there is");
    assert_eq!(fill(&mut lanes, 2, 10), 3);
    assert_eq!(fill(&mut lanes, 3, 500), 1, "one in any case");
    assert_eq!(fill(&mut lanes, 4, 1), 1, "also when nothing is left");
    assert_eq!(fill(&mut lanes, 5, 0), 50);
    while lanes.take(now()).is_some() {}
    assert_eq!(fill(&mut lanes, 4, 1), 0, "what is under way counts");
    lanes.finished(freed(3, 500), now());
    assert_eq!((lanes.bytes, fill(&mut lanes, 4, 1)), (81, 9));
}

/// What is read only to be put off is read for nothing.
#[test]
fn a_backlog_of_large_bodies_is_brought_once() {
    const SIZE: usize = 150 * 1024;
    let mut lanes = Lanes::new(Room { bytes: 16 * 1024 * 1024, ..ROOM });
    let (mut waiting, mut rounds, mut refused, mut done) = (500_usize, 0, 0, 0);
    let mut is_asked = true;
    while done < 500 {
        if is_asked && waiting > 0 {
            rounds += 1;
            let Vacancies { known, otherwise, bytes } = lanes.vacancies(now());
            let room = known.first().map_or(otherwise, |vacancy| vacancy.room);
            for _ in 0..room.min(bytes / SIZE).min(waiting) {
                match lanes.offer(subscription(1), pace(64, None), (), SIZE, now()) {
                    Ok(()) => waiting -= 1,
                    Err(_) => refused += 1,
                }
            }
            lanes.left_behind(subscription(1), 0);
        }
        while lanes.take(now()).is_some() {}
        assert!(lanes.busy() > 0, "nobody asks for the {waiting} that wait");
        lanes.finished(freed(1, SIZE), now());
        done += 1;
        is_asked = lanes.has_room_for_more();
    }
    assert_eq!(refused, 0);
    assert!(rounds <= 30, "{rounds} rounds, and half of what fits is a round");
}

#[test]
fn a_lane_that_is_full_of_bytes_is_full() {
    let mut lanes = Lanes::new(Room { bytes: 100, ..ROOM });
    while lanes.offer(subscription(1), pace(64, None), 1, 10, now()).is_ok() {}
    lanes.left_behind(subscription(1), 10_000);
    let full = lanes.vacancies(now());
    assert_eq!((full.known[0].room, full.bytes), (0, 25));
    assert_eq!(full.known[0].waiting.pause, Duration::from_micros(6_350_625));
    while lanes.take(now()).is_some() {}
    // What did not fit is not forgotten for a single one that does.
    lanes.finished(freed(1, 10), now());
    lanes.offer(subscription(1), pace(64, None), 1, 10, now()).unwrap();
    assert!(lanes.vacancies(now()).known[0].waiting.pause > Duration::from_secs(1));
    let woken = [(); 3].map(|()| {
        lanes.finished(freed(1, 10), now());
        lanes.has_room_for_more()
    });
    assert_eq!(woken, [false, false, true], "half empty");
    lanes.offer(subscription(1), pace(64, None), 1, 10, now()).unwrap();
    assert_eq!(lanes.lanes[&subscription(1)].turned_away, 0);
    let other = lanes.offer(subscription(2), pace(64, None), 1, 1_000, now());
    other.expect("an idle lane takes one of any size");
    assert_eq!(lanes.vacancies(now()).bytes, 0);
}

/// The end of an attempt wakes the dispatcher by itself.
#[test]
fn with_everything_under_way_no_lane_waits_for_its_rate() {
    let mut lanes = Lanes::new(Room { attempts: 1, items: 1, ..ROOM });
    let start = now();
    for item in 0..2 {
        lanes.offer(subscription(1), pace(64, Some(10)), item, 0, start).unwrap();
    }
    assert_eq!(lanes.take(start), Some(0));
    lanes.finished(freed(1, 0), start);
    lanes.offer(subscription(2), pace(64, None), 9, 0, start).unwrap();
    assert_eq!(lanes.take(start), Some(9));
    let later = start + Duration::from_millis(150);
    assert_eq!((lanes.next_wake(later), lanes.take(later)), (None, None));
    lanes.finished(freed(2, 0), later);
    assert_eq!((lanes.next_wake(later), lanes.take(later)), (Some(Duration::ZERO), Some(1)));
}

/// A backlog that came back every few seconds would keep Postgres busy for nothing.
#[test]
fn a_backlog_comes_back_at_the_pace_of_its_lane() {
    let mut lanes = Lanes::new(ROOM);
    let start = now();
    let flood = |lanes: &mut Lanes<u32>, count: u32, at| {
        let refused = (0..count).filter_map(|item| lanes.offer(subscription(1), pace(2, None), item, 0, at).err());
        refused.map(|overflow| overflow.pause).collect::<Vec<_>>()
    };
    let at_first = flood(&mut lanes, 1_032, start);
    assert_eq!((at_first.len(), at_first[0]), (1_000, Duration::from_millis(105)));
    assert_eq!(at_first[999], Duration::from_millis(5_100), "supposed: 200 a second");
    // In 99 s it got through ten: it is a slow one.
    for _ in 0..10 {
        lanes.take(start).unwrap();
        lanes.finished(freed(1, 0), start);
    }
    let later = flood(&mut lanes, 1_000, start + Duration::from_secs(99));
    assert_eq!(*later.last().unwrap(), Duration::from_secs(60));
    assert!(later.is_sorted());
}

#[test]
fn what_became_slow_is_soon_known_to_be() {
    let mut lanes = Lanes::new(ROOM);
    let mut at = now();
    let one = |lanes: &mut Lanes<u8>, at| {
        lanes.offer(subscription(1), pace(1, None), 1, 0, at).unwrap();
        lanes.take(at).unwrap();
    };
    lanes.offer(subscription(1), pace(1, None), 1, 0, at).unwrap();
    for (rounds, takes_ms) in [(10_000, 10), (10, 10_000)] {
        for _ in 0..rounds {
            one(&mut lanes, at);
            at += Duration::from_millis(takes_ms);
            lanes.finished(freed(1, 0), at);
        }
    }
    let step = lanes.lanes[&subscription(1)].waiting(at).step;
    assert!(step > Duration::from_millis(100), "{step:?}");
}

#[test]
fn the_sweep_is_told_of_full_lanes_and_woken_when_they_have_room() {
    let mut lanes = Lanes::new(ROOM);
    while offer(&mut lanes, 1, pace(4, None), 1).is_ok() {}
    offer(&mut lanes, 2, pace(64, None), 2).unwrap();
    let vacancies = lanes.vacancies(now());
    assert_eq!(vacancies.otherwise, 128);
    let known = |lanes: &Lanes<u32>| {
        let mut known = lanes.vacancies(now()).known;
        known.sort_unstable_by_key(|vacancy| vacancy.subscription);
        known
    };
    let rooms: Vec<_> = known(&lanes).iter().map(|vacancy| (vacancy.subscription, vacancy.room)).collect();
    assert_eq!(rooms, [(subscription(1), 0), (subscription(2), 255)], "more than a stranger for one that gets on");

    let before = known(&lanes)[0].waiting.pause;
    lanes.left_behind(subscription(1), 1_000);
    lanes.left_behind(subscription(9), 1_000);
    assert!(known(&lanes)[0].waiting.pause > before + Duration::from_secs(2));
    let woken: Vec<bool> = std::iter::from_fn(|| {
        lanes.take(now())?;
        lanes.finished(freed(1, 0), now());
        Some(lanes.has_room_for_more())
    })
    .collect();
    assert_eq!(woken.iter().filter(|woken| **woken).count(), 1, "once: {woken:?}");
}

proptest! {
    #[test]
    fn nothing_disappears_and_no_lane_exceeds_its_bound(
        steps in prop::collection::vec((0_u8..4, 0_u8..3, 0_usize..5), 1..400),
        max_in_flight in 1_u32..5,
        room in 1_usize..40,
    ) {
        let mut lanes = Lanes::new(Room { attempts: room, items: room, bytes: room });
        let mut in_flight: Vec<(u8, usize)> = Vec::new();
        let (mut offered, mut refused, mut done, mut taken) = (0_usize, 0_usize, 0_usize, 0_usize);
        let at = now();
        for (number, step, bytes) in steps {
            match step {
                0 => {
                    offered += 1;
                    let pace = pace(max_in_flight, None);
                    refused += usize::from(lanes.offer(subscription(number), pace, (number, bytes), bytes, at).is_err());
                }
                1 => {
                    if let Some(item) = lanes.take(at) {
                        taken += 1;
                        in_flight.push(item);
                        let under_way = in_flight.iter().filter(|other| other.0 == item.0).count();
                        prop_assert!(under_way <= max_in_flight as usize);
                    }
                }
                _ => {
                    if let Some((number, bytes)) = in_flight.pop() {
                        done += 1;
                        lanes.finished(freed(number, bytes), at);
                    }
                }
            }
            prop_assert_eq!(offered, refused + lanes.queued() + in_flight.len() + done);
            prop_assert_eq!(lanes.in_flight, in_flight.len());
            prop_assert_eq!(lanes.bytes, lanes.lanes.values().map(|lane| lane.bytes).sum::<usize>());
            prop_assert_eq!(lanes.busy(), lanes.lanes.values().filter(|lane| !lane.is_idle()).count());
        }
        let drained = lanes.drain().len();
        prop_assert_eq!(offered, refused + taken + drained);
        prop_assert_eq!((lanes.queued(), lanes.bytes), (0, in_flight.iter().map(|(_, bytes)| bytes).sum()));
    }
}
