//! [`SharedBreakers`]: tells the breakers what happened, and reads them.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, cmd, pipe};
use onering_delivery::{Breaker, BreakerChange, BreakerInput, BreakerPolicy, DatabaseTime, Reach};
use onering_ids::SubscriptionId;
use uuid::Uuid;

use crate::breaker::packed::unpack;
use crate::delivery_stream::whole_ms;
use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::lua::{Lua, REDIS_TIME};
use crate::names::{BREAKERS, GENERATION};

const CHANGE: &str = include_str!("change.lua");
const FORGET: &str = include_str!("forget.lua");

const NOT_A_BREAKER: Fault = Fault::Shape { expected: "a breaker and its change for each input" };
const NOT_A_NUMBER: Fault = Fault::Shape { expected: "a number" };

/// Redis' clock: seconds and microseconds.
type Time = (u64, u64);

/// A hash.
type Fields = Vec<(String, String)>;

/// The breakers of all subscriptions that ail, as all workers share them. A subscription that is not there is healthy.
///
/// Time inside is Redis'. Outside it is the database's: each answer is translated with the two clocks as they stand when
/// it arrives, so neither their difference nor a worker's own clock counts.
pub struct SharedBreakers {
    change: Lua,
    forget: Lua,
    link: Link,
}

/// What became of a batch of inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerAnswer {
    /// The generation before. Whoever knows all breakers of it, and these changes, knows all breakers of the one after.
    pub before: u64,
    /// The generation afterwards; the same when nothing changed.
    pub after: u64,
    /// One for each input, in order.
    pub outcomes: Vec<BreakerOutcome>,
}

/// What became of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOutcome {
    /// The subscription's breaker after it.
    pub breaker: Breaker,
    /// The change it made, if it is one that people want to know of.
    pub change: Option<BreakerChange>,
}

/// All breakers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSnapshot {
    /// Of which generation they are.
    pub generation: u64,
    /// Those that are not healthy.
    pub ailing: Vec<(SubscriptionId, Breaker)>,
}

impl SharedBreakers {
    pub(crate) fn new(link: Link) -> Self {
        Self::timed_by(REDIS_TIME, link)
    }

    /// `clock` is the Lua that defines the instant; tests bring their own.
    pub(super) fn timed_by(clock: &str, link: Link) -> Self {
        let lua = |rules| Lua::new(format!("{clock}{rules}"));
        Self { change: lua(CHANGE), forget: lua(FORGET), link }
    }

    /// Tells the breakers a batch of inputs, all at one instant and in this order. `now` is asked for the database's time
    /// when the answer is there.
    ///
    /// # Errors
    /// [`QueueError::Breakers`]. Whether the inputs were taken in is then unknown.
    pub async fn tell(
        &self,
        policy: &BreakerPolicy,
        inputs: &[(SubscriptionId, BreakerInput)],
        now: impl FnOnce() -> DatabaseTime,
    ) -> Result<BreakerAnswer, QueueError> {
        let command = self.command(policy, inputs);
        let told = async {
            let texts: Vec<String> = self.change.call(&self.link, &command).await?;
            read_answer(&texts, inputs.len(), now())
        };
        told.await.map_err(|source| QueueError::Breakers { inputs: inputs.len(), source })
    }

    /// The generation: as long as it is the same, so are all breakers. 0 where nothing is known, also after a loss.
    ///
    /// # Errors
    /// [`QueueError::ReadBreakers`].
    pub async fn generation(&self) -> Result<u64, QueueError> {
        let mut command = cmd("HGET");
        command.arg(BREAKERS).arg(GENERATION);
        let generation: Result<Option<u64>, _> = self.link.query(&command).await;
        generation.map(Option::unwrap_or_default).map_err(|source| QueueError::ReadBreakers { source })
    }

    /// All breakers; `now` as for [`tell`](Self::tell). One that is not understood counts as healthy, as it does for the
    /// script.
    ///
    /// # Errors
    /// [`QueueError::ReadBreakers`].
    pub async fn read(&self, now: impl FnOnce() -> DatabaseTime) -> Result<BreakerSnapshot, QueueError> {
        let mut commands = pipe();
        commands.cmd("TIME").cmd("HGETALL").arg(BREAKERS);
        let answer = self.link.pipeline::<(Time, Fields)>(&commands).await;
        let ((seconds, micros), fields) = answer.map_err(|source| QueueError::ReadBreakers { source })?;
        let (redis_ms, now) = (seconds.saturating_mul(1_000).saturating_add(micros / 1_000), now());
        let mut snapshot = BreakerSnapshot { generation: 0, ailing: Vec::with_capacity(fields.len()) };
        for (field, value) in fields {
            if field == GENERATION {
                snapshot.generation = value.parse().unwrap_or_default();
            } else if let Ok(uuid) = Uuid::parse_str(&field)
                && let Some(breaker) = unpack(&value, redis_ms, now)
            {
                snapshot.ailing.push((SubscriptionId::from_uuid(uuid), breaker));
            }
        }
        Ok(snapshot)
    }

    /// Forgets breakers that did not change for `age`: of subscriptions that were deleted, or are sent nothing any more.
    /// Answers how many.
    ///
    /// # Errors
    /// [`QueueError::ForgetBreakers`].
    pub async fn forget(&self, age: Duration) -> Result<u64, QueueError> {
        let mut command = self.forget.command();
        command.arg(1).arg(BREAKERS).arg(whole_ms(age));
        let forgotten = self.forget.call(&self.link, &command).await;
        forgotten.map_err(|source| QueueError::ForgetBreakers { source })
    }

    fn command(&self, policy: &BreakerPolicy, inputs: &[(SubscriptionId, BreakerInput)]) -> Cmd {
        let mut command = self.change.command();
        command.arg(1).arg(BREAKERS).arg(policy.failures());
        command.arg(whole_ms(policy.first_pause())).arg(whole_ms(policy.longest_pause()));
        for (subscription, input) in inputs {
            let (delivery, what, lease) = match *input {
                BreakerInput::Result { delivery, reach: Reach::Failed } => (delivery, "f", Duration::ZERO),
                BreakerInput::Result { delivery, reach: Reach::Reached } => (delivery, "r", Duration::ZERO),
                BreakerInput::Ask { delivery, lease } => (delivery, "a", lease),
            };
            let ids = [subscription.uuid(), delivery.uuid()].map(|uuid| uuid.to_string());
            command.arg(&ids).arg(what).arg(whole_ms(lease));
        }
        command
    }
}

fn read_answer(texts: &[String], inputs: usize, now: DatabaseTime) -> Result<BreakerAnswer, Fault> {
    let [redis_ms, before, after, outcomes @ ..] = texts else { return Err(NOT_A_BREAKER) };
    let number = |text: &String| text.parse::<u64>().map_err(|_| NOT_A_NUMBER);
    let redis_ms = number(redis_ms)?;
    let outcome = |pair: &[String]| {
        let [breaker, change] = pair else { return Err(NOT_A_BREAKER) };
        let breaker = unpack(breaker, redis_ms, now).ok_or(NOT_A_BREAKER)?;
        let change = if change.is_empty() { None } else { Some(change.parse().map_err(|_| NOT_A_BREAKER)?) };
        Ok(BreakerOutcome { breaker, change })
    };
    let outcomes = outcomes.chunks(2).map(outcome).collect::<Result<Vec<_>, _>>()?;
    if outcomes.len() != inputs {
        return Err(NOT_A_BREAKER);
    }
    Ok(BreakerAnswer { before: number(before)?, after: number(after)?, outcomes })
}

#[cfg(test)]
mod tests;
