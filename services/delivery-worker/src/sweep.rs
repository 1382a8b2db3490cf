//! The sweep: finds in Postgres what is due (retries, rows whose lease ran out, events published inside the product's own
//! transaction) and leases it to this worker directly. What is held for reasons that are gone it makes due first
//! ([`crate::release`]).
//!
//! This is what makes Redis a hint: everything the stream forgot is found here. Any number of workers sweep at once; rows
//! locked by one are skipped by the others. Of each subscription no more is leased than its lane has room for: what is
//! beyond stays due, and costs nobody a place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{DatabaseTime, Lease};
use onering_ids::SubscriptionId;
use onering_service_kit::FailureLog;
use onering_store::{StoreError, leases};

use crate::arrival::arrive;
use crate::context::Context;
use crate::events::{DispatcherHandle, Event};
use crate::lanes::{Vacancies, Waiting};
use crate::look::Look;
use crate::places::{LEAST_BYTES, Places};
use crate::planted::Bug;
use crate::release::Release;
use crate::work_item::{Item, Source};

/// How often the sweep looks without being woken.
const EVERY: Duration = Duration::from_secs(1);
/// How often it looks while something that was put off is still to come: its lane may long have room.
const OFTEN: Duration = Duration::from_millis(200);
/// Rows leased by one statement, at most.
const BATCH: usize = 1_000;
/// After so long what is held has its turn, and probes, however much there is to put off.
const LONGEST: Duration = Duration::from_secs(1);

/// What came of one round.
#[derive(Debug, Default)]
struct Round {
    /// Something was due, or it was not looked.
    found: bool,
    /// More may be due than there were places or time for.
    goes_on: bool,
}

/// Sweeps until stopped.
pub(crate) async fn run(context: Arc<Context>, dispatcher: DispatcherHandle) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = FailureLog::new("sweep");
    let mut release = Release::default();
    let mut look = Look::default();
    let mut last = Round::default();
    loop {
        tokio::select! {
            // What is held has its turn however much is due.
            biased;
            () = context.stop.cancelled() => return,
            _ = tick.tick() => release.look_again(),
            () = context.wake_release.notified() => release.look_again(),
            () = context.wake_sweep.notified() => {}
            () = tokio::time::sleep(OFTEN), if context.tally.is_deferring(context.database_clock.now()) => {}
            () = context.sweep_room.some(context.max_in_flight.min(BATCH)), if last.goes_on => {}
        }
        if !context.flags.current().delivery || context.planted.is(Bug::SweepOff) {
            // Nothing is asked of Postgres, so nothing says that it was away.
            context.recovery.seen(context.clock.monotonic());
            context.tally.swept_nothing();
            continue;
        }
        last = match sweep(&context, &dispatcher, &mut release, &mut look).await {
            Ok(round) => {
                failing.worked();
                if !round.found {
                    context.tally.swept_nothing();
                }
                round
            }
            Err(error) => {
                look.failed(context.clock.monotonic());
                context.metrics.sweep_failures.inc();
                failing.failed(&error);
                Round::default()
            }
        };
    }
}

/// Releases, then leases batch after batch until nothing is due that there is room for, or time is up.
///
/// # Errors
/// [`StoreError`] when Postgres fails; what was leased until then is under way.
async fn sweep(
    context: &Arc<Context>,
    dispatcher: &DispatcherHandle,
    release: &mut Release,
    look: &mut Look,
) -> Result<Round, StoreError> {
    look.start();
    let mut found = release.round(context).await? > 0;
    let began = context.clock.monotonic();
    loop {
        context.recovery.seen(context.clock.monotonic());
        if !context.flags.current().delivery || context.stop.is_cancelled() || !context.may_take_over() {
            return Ok(Round { found: true, goes_on: false });
        }
        // However long it takes to get to Postgres: later than this, others may hold results that nobody asked about.
        let latest = context.database_clock.now().plus(Lease::MARGIN);
        let Some(mut places) = context.sweep_room.try_take(BATCH) else {
            return Ok(Round { found: true, goes_on: true });
        };
        // Only a dispatcher that has ended does not answer.
        let Some(vacancies) = dispatcher.vacancies().await else { return Ok(Round::default()) };
        let wanted = wanted(&places, &vacancies, look, latest);
        let haul = {
            let mut connection = context.pool.get().await?;
            // It may have been switched off meanwhile, and what the lanes held since is not to come back.
            if !context.flags.current().delivery {
                return Ok(Round { found: true, goes_on: false });
            }
            leases::sweep(&mut connection, &context.instance, context.lease, &wanted).await?
        };
        let taken = haul.deliveries.len();
        context.metrics.swept.add(taken as u64);
        let goes_on = look.learn(&haul, may_bring_more(&wanted, &haul), context.clock.monotonic());
        found |= taken > 0 || haul.contended > 0 || !haul.left_behind.is_empty();
        arrive(context, dispatcher, items(context, haul.deliveries, &mut places)).await;
        // After what arrived, with which their lanes come to be.
        leave_behind(context, dispatcher, haul.left_behind);
        let is_time_up = context.clock.monotonic().saturating_duration_since(began) >= LONGEST;
        if !goes_on || is_time_up {
            return Ok(Round { found, goes_on });
        }
    }
}

/// Whether to look at the same again, which may bring more, and soon: if this round was cut short, or there is much that was not seen, or
/// more is due of subscriptions that had no lane.
fn may_bring_more(wanted: &leases::Wanted, haul: &leases::Haul) -> bool {
    let taken = haul.deliveries.len();
    let bytes = haul.deliveries.iter().map(|row| row.body.len()).sum::<usize>();
    let put_off = haul.left_behind.iter().any(|left| left.put_off > 0);
    let was_cut_short = taken == wanted.deliveries as usize || bytes as u64 > wanted.bytes / 2;
    put_off || was_cut_short || (taken > 0 && has_strangers(wanted, haul))
}

/// What may not go out never gets a lane that would ask for more.
fn has_strangers(wanted: &leases::Wanted, haul: &leases::Haul) -> bool {
    let known: HashSet<SubscriptionId> = wanted.known.iter().map(|(subscription, _)| *subscription).collect();
    haul.left_behind.iter().any(|left| !known.contains(&left.webhook_id))
}

fn wanted(places: &Places, vacancies: &Vacancies, look: &Look, latest: DatabaseTime) -> leases::Wanted {
    let vacancy = |room: usize, waiting: &Waiting| leases::Vacancy {
        room: u32::try_from(room).unwrap_or(u32::MAX),
        pause: waiting.pause,
        step: waiting.step,
        longest: waiting.longest,
    };
    let known = vacancies.known.iter();
    leases::Wanted {
        deliveries: u32::try_from(places.items()).unwrap_or(u32::MAX),
        bytes: places.bytes().min(vacancies.bytes.max(LEAST_BYTES)) as u64,
        known: known.map(|lane| (lane.subscription, vacancy(lane.room, &lane.waiting))).collect(),
        otherwise: vacancy(vacancies.otherwise, &Waiting::UNKNOWN),
        beyond: look.beyond(),
        passed_over: look.passed_over().to_vec(),
        latest: Some(latest),
    }
}

fn items(context: &Arc<Context>, swept: Vec<leases::Swept>, places: &mut Places) -> Vec<Item> {
    let item = |row: leases::Swept| {
        let place = places.split(row.body.len())?;
        Some(Item::new(context, row.work, row.body, Source::Sweep, place))
    };
    swept.into_iter().filter_map(item).collect()
}

/// Notes for whom there is more, so that their lanes ask for it once they have room.
fn leave_behind(context: &Context, dispatcher: &DispatcherHandle, left_behind: Vec<leases::LeftBehind>) {
    for left in left_behind {
        context.metrics.put_off.add(left.put_off);
        if let Some(until) = left.until {
            context.tally.defer(until);
        }
        dispatcher.tell(Event::LeftBehind(left.webhook_id, left.put_off));
    }
}

#[cfg(test)]
mod tests {
    use onering_delivery::Work;
    use onering_ids::{DeliveryId, EventId};
    use onering_store::leases::{Haul, LeftBehind, Swept, Vacancy, Wanted};

    use super::*;

    fn subscription(number: u64) -> SubscriptionId {
        SubscriptionId::floor(number)
    }

    /// At most a hundred, and five of the first subscription, which alone has a lane.
    fn wanted() -> Wanted {
        let room = |room| Vacancy { room, ..Wanted::at_most(room).otherwise };
        Wanted { known: vec![(subscription(1), room(5))], bytes: 10_000, ..Wanted::at_most(100) }
    }

    fn haul_of(number: usize, body: usize) -> Haul {
        let until = DatabaseTime::from_utc("2026-03-01T12:00:00Z".parse().unwrap());
        let work = Work {
            delivery_id: DeliveryId::floor(1),
            event_id: EventId::floor(1),
            webhook_id: subscription(1),
            lease: Lease { attempts_made: 0, until },
            event_type: "ring.forged".into(),
            created_at: until,
        };
        Haul { deliveries: vec![Swept { work, body: vec![0; body].into() }; number], ..Haul::default() }
    }

    fn leaving(webhook: u64, put_off: u64, haul: Haul) -> Haul {
        let left = LeftBehind { webhook_id: subscription(webhook), put_off, until: None };
        Haul { left_behind: vec![left], ..haul }
    }

    #[test]
    fn a_round_that_took_all_there_was_is_the_last() {
        for haul in [haul_of(0, 0), haul_of(1, 10), haul_of(99, 10)] {
            assert!(!may_bring_more(&wanted(), &haul));
        }
    }

    #[test]
    fn one_that_was_cut_short_is_not() {
        assert!(may_bring_more(&wanted(), &haul_of(100, 10)), "there were no more places");
        assert!(may_bring_more(&wanted(), &haul_of(2, 2_501)), "there was little room for bodies");
        assert!(may_bring_more(&wanted(), &leaving(1, 7, haul_of(5, 10))), "others may stand behind what was put off");
    }

    #[test]
    fn it_asks_on_for_those_without_a_lane_while_it_gets_something() {
        assert!(may_bring_more(&wanted(), &leaving(2, 0, haul_of(5, 10))));
        assert!(!may_bring_more(&wanted(), &leaving(1, 0, haul_of(5, 10))), "a lane asks when it has room");
        assert!(!may_bring_more(&wanted(), &leaving(2, 0, haul_of(0, 0))), "it would ask for ever");
    }
}
