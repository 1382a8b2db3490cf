//! What happened in a stretch of a day.
//!
//! All follows from the plan's number and from places in the order of events, so events, deliveries and attempts are three
//! walks over the same past, and none of it is ever kept.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use onering_delivery::AttemptOutcome;
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use onering_store::seeding::{SeedAttempt, SeedDelivery, SeedEvent, SeedState};
use uuid::Uuid;

use super::calendar::{Stretch, share};
use super::dice::Dice;
use super::population::{EVENT_TYPES, Population};

/// What is not due is due so much later.
const FAR: TimeDelta = TimeDelta::days(30);
/// Retries end within minutes: what still waits for one is young.
const YOUNG: TimeDelta = TimeDelta::hours(24);
/// In so much time a delivery may come to its last attempt.
const SCHEDULE: TimeDelta = TimeDelta::minutes(10);
/// When attempts begin, in milliseconds after the event, and how long those that fail take.
const BEGINNINGS_MS: [u64; 3] = [2, 60_900, 361_500];
const FAILING_MS: u32 = 15;
const REFUSED: &str = "answered 503";
/// What makes the body about 500 bytes.
const FILLING: usize = 320;

/// One walk through a stretch can be had as events, as deliveries or as attempts.
pub(super) struct History<'a> {
    population: &'a Population,
    stretch: Stretch,
    now: DateTime<Utc>,
}

impl<'a> History<'a> {
    /// What happened in a stretch, seen from `now`.
    pub(super) const fn new(population: &'a Population, stretch: Stretch, now: DateTime<Utc>) -> Self {
        Self { population, stretch, now }
    }

    /// The events.
    pub(super) fn events(&self) -> impl Iterator<Item = SeedEvent<'_>> {
        self.happenings().map(|happening| happening.event())
    }

    /// Their deliveries.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = SeedDelivery<'_>> {
        self.fates().map(|(happening, fate)| happening.delivery(&fate))
    }

    /// Those deliveries' attempts.
    pub(super) fn attempts(&self) -> impl Iterator<Item = SeedAttempt<'_>> {
        self.fates().flat_map(move |(happening, fate)| {
            (1..=fate.attempts).map(move |number| happening.attempt(&fate, number, self.population.worker()))
        })
    }

    fn happenings(&self) -> Happenings<'_> {
        Happenings { history: self, number: 0, made: 0 }
    }

    fn fates(&self) -> impl Iterator<Item = (Happening<'_>, Fate)> {
        self.happenings().flat_map(move |happening| {
            let mut dice = happening.dice;
            let receivers = self.receivers(happening.partner, happening.event_type).take(happening.matched as usize);
            receivers.map(move |webhook_id| (happening, self.fate(webhook_id, &happening, &mut dice)))
        })
    }

    fn receivers(&self, partner: usize, event_type: &'static str) -> impl Iterator<Item = SubscriptionId> {
        let target = self.target().map(|(_, webhook_id)| *webhook_id);
        let matching = target.is_none().then(|| self.population.matching(partner, event_type));
        target.into_iter().chain(matching.into_iter().flatten())
    }

    fn target(&self) -> Option<&(OwnerId, SubscriptionId)> {
        self.stretch.waiting.as_ref()?.to.as_ref()
    }

    /// What becomes of one delivery: of a hundred, two are DEAD, two arrived at the second attempt, and now and then one was too
    /// old or, of the last day, waits for its retry.
    fn fate(&self, webhook_id: SubscriptionId, happening: &Happening<'_>, dice: &mut Dice) -> Fate {
        let created_at = happening.created_at;
        let delivery_id = DeliveryId::from_uuid(dice.sibling(happening.event_id.uuid()));
        let (young, is_settled) = (self.now - created_at < YOUNG, self.now - created_at > SCHEDULE);
        let fate = |state, attempts| Fate { delivery_id, webhook_id, state, attempts };
        let failed = |attempts: u16| created_at + end_of_failed(attempts);
        if let Some(waiting) = &self.stretch.waiting {
            let queued_until = if waiting.is_due { created_at } else { self.now + FAR };
            return fate(SeedState::Pending { queued_until }, 0);
        }
        match dice.below(1_000) {
            0..20 if is_settled => fate(SeedState::Dead { at: failed(3) }, 3),
            20..25 => fate(SeedState::ReplayExpired { at: failed(1) }, 1),
            25..35 if young && is_settled => fate(SeedState::Retrying { next_attempt_at: self.now + FAR }, 1),
            35..55 if is_settled => fate(delivered(created_at, late_latency(dice)), 2),
            _ => fate(delivered(created_at, latency(dice)), 1),
        }
    }
}

fn delivered(created_at: DateTime<Utc>, latency_ms: u32) -> SeedState {
    SeedState::Delivered { at: created_at + TimeDelta::milliseconds(latency_ms.into()), latency_ms }
}

/// From acceptance to the end of the attempt, when that failed.
fn end_of_failed(attempt: u16) -> TimeDelta {
    let end = beginning_ms(attempt) + u64::from(FAILING_MS);
    TimeDelta::milliseconds(i64::try_from(end).unwrap_or(i64::MAX))
}

fn beginning_ms(attempt: u16) -> u64 {
    BEGINNINGS_MS[usize::from(attempt.max(1) - 1).min(BEGINNINGS_MS.len() - 1)]
}

/// Of a first attempt that arrives: a few milliseconds, and of some up to a second. Lowest values of buckets of two digits.
fn latency(dice: &mut Dice) -> u32 {
    let latency = if dice.below(64) == 0 { 512 + 4 * dice.below(128) } else { 3 + dice.below(40) };
    latency as u32
}

/// Of a second attempt that arrives: about a minute. Lowest values of buckets of two digits.
fn late_latency(dice: &mut Dice) -> u32 {
    61_440 + 256 * dice.below(16) as u32
}

/// Walks from event to event until all deliveries are made.
struct Happenings<'a> {
    history: &'a History<'a>,
    number: u64,
    made: u64,
}

/// One event.
#[derive(Clone, Copy)]
struct Happening<'a> {
    event_id: EventId,
    partner: usize,
    owner: &'a OwnerId,
    event_type: &'static str,
    matched: u32,
    created_at: DateTime<Utc>,
    /// For what comes of it.
    dice: Dice,
}

/// What has become of one delivery.
struct Fate {
    delivery_id: DeliveryId,
    webhook_id: SubscriptionId,
    state: SeedState,
    attempts: u16,
}

impl<'a> Iterator for Happenings<'a> {
    type Item = Happening<'a>;

    fn next(&mut self) -> Option<Happening<'a>> {
        let History { population, stretch, .. } = self.history;
        let left = stretch.deliveries.checked_sub(self.made).filter(|left| *left > 0)?;
        // Dice of kinds 0 and 1 are others'.
        let mut dice = Dice::of(population.seed(), stretch.number.wrapping_add(2), self.number);
        let partner = population.some_partner(&mut dice);
        let event_type = EVENT_TYPES[dice.below(EVENT_TYPES.len() as u64) as usize];
        // The last one matches no more than are wanted: the others were made later.
        let matched = (self.history.receivers(partner, event_type).count() as u64).min(left);
        let at_ms = stretch.from_ms + share(stretch.until_ms - stretch.from_ms, self.made, stretch.deliveries);
        let happening = Happening {
            event_id: EventId::from_uuid(dice.id(at_ms)),
            partner,
            owner: self.history.target().map_or(&population.owners()[partner], |(owner, _)| owner),
            event_type,
            matched: u32::try_from(matched).unwrap_or(u32::MAX),
            created_at: DateTime::from_timestamp_millis(i64::try_from(at_ms).unwrap_or(i64::MAX)).unwrap_or_default(),
            dice,
        };
        self.number += 1;
        self.made += matched;
        Some(happening)
    }
}

impl<'a> Happening<'a> {
    fn event(&self) -> SeedEvent<'a> {
        SeedEvent {
            event_id: self.event_id,
            owner: self.owner,
            event_type: self.event_type,
            body: body(self.event_id, self.event_type, self.created_at, self.dice),
            matched: self.matched,
            created_at: self.created_at,
        }
    }

    fn delivery(&self, fate: &Fate) -> SeedDelivery<'a> {
        let last = fate.attempts.checked_sub(1).map(|_| self.answer(fate, fate.attempts));
        SeedDelivery {
            delivery_id: fate.delivery_id,
            event_id: self.event_id,
            webhook_id: fate.webhook_id,
            owner: self.owner,
            event_type: self.event_type,
            created_at: self.created_at,
            state: fate.state,
            attempts: fate.attempts,
            last_status_code: last.map(|answer| answer.status_code),
            last_error: last.and_then(|answer| answer.error),
        }
    }

    fn attempt<'w>(&self, fate: &Fate, number: u16, worker: &'w str) -> SeedAttempt<'w> {
        let answer = self.answer(fate, number);
        SeedAttempt {
            delivery_id: fate.delivery_id,
            attempt: number,
            webhook_id: fate.webhook_id,
            outcome: answer.outcome,
            status_code: Some(answer.status_code),
            error: answer.error,
            response_body: Some(answer.body),
            started_at: answer.ended_at - TimeDelta::milliseconds(answer.duration_ms.into()),
            duration_ms: answer.duration_ms,
            worker,
        }
    }

    /// How an attempt ended.
    fn answer(&self, fate: &Fate, number: u16) -> Answer {
        let failed = Answer {
            outcome: AttemptOutcome::Retry,
            status_code: 503,
            error: Some(REFUSED),
            body: "{\"error\":\"unavailable\"}",
            ended_at: self.created_at + end_of_failed(number),
            duration_ms: FAILING_MS,
        };
        if number < fate.attempts {
            return failed;
        }
        match fate.state {
            SeedState::Delivered { at, latency_ms } => Answer {
                outcome: AttemptOutcome::Delivered,
                status_code: 200,
                error: None,
                body: "{\"status\":\"ok\"}",
                ended_at: at,
                duration_ms: latency_ms.saturating_sub(u32::try_from(beginning_ms(number)).unwrap_or(0)),
            },
            SeedState::Dead { .. } => Answer { outcome: AttemptOutcome::Dead, ..failed },
            SeedState::ReplayExpired { .. } => Answer {
                outcome: AttemptOutcome::ReplayExpired,
                status_code: 409,
                error: Some("the receiver says REPLAY_EXPIRED"),
                ..failed
            },
            SeedState::Retrying { .. } | SeedState::Pending { .. } => failed,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy)]
struct Answer {
    outcome: AttemptOutcome,
    status_code: u16,
    error: Option<&'static str>,
    body: &'static str,
    ended_at: DateTime<Utc>,
    duration_ms: u32,
}

/// An event's envelope, of about 500 bytes.
fn body(event_id: EventId, event_type: &str, created_at: DateTime<Utc>, mut dice: Dice) -> String {
    let timestamp = created_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let thing = Uuid::from_u64_pair(dice.next(), dice.next());
    let filling = "x".repeat(FILLING);
    format!(
        "{{\"event_id\":\"{event_id}\",\"event_type\":\"{event_type}\",\"timestamp\":\"{timestamp}\",\
         \"data\":{{\"ring_id\":\"{thing}\",\"filling\":\"{filling}\"}}}}"
    )
}

#[cfg(test)]
mod tests;
