//! Receivers that misbehave beside the one that is watched: what they do must be nobody's harm but their own.

use std::time::Duration;

use onering_dev_servers::HostileAnswer;
use onering_testkit::{Receiver, Reply, eventually};
use serde_json::{Value, json};

use super::fault::Fault;
use crate::partner::{Partner, Subscription};
use crate::stack::Stack;

/// Subscriptions that hang, each with this many places: together all that a worker may have under way.
const HANGING: usize = 8;
const PLACES: usize = 128;
/// A share of the events goes to each that hangs, and so many to each that is hostile.
const HANGING_SHARE: usize = 5;
const HOSTILE_EVENTS: usize = 20;
/// For one that is down there are so many. This many requests may reach it unbidden: those that open its circuit, and what
/// was under way meanwhile. Any other is a probe.
const DOWN_EVENTS: usize = 100;
const UNBIDDEN: i64 = 30;
/// How long it may take until all that waits for it is held.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody can make a delivery wait longer: an hour, and a tenth of it by chance.
const LONGEST_WAIT: &str = "70 minutes";

/// The misbehaving receivers of one trial; none, mostly.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    receivers: Vec<Receiver>,
    /// Would wait for an hour: removed at the end.
    patient: Vec<Subscription>,
    /// The last of the receivers answers nothing but 503 to this one.
    down: Option<Subscription>,
}

impl Neighbours {
    /// Those of this fault, subscribed.
    pub(super) async fn move_in(fault: Fault, partner: &Partner, events: usize) -> Self {
        let mut neighbours = Self::default();
        match fault {
            Fault::HangingReceivers => {
                let receiver = Receiver::start().await;
                receiver.otherwise(Reply::hang());
                for number in 0..HANGING {
                    let settings = first_events(events / HANGING_SHARE, PLACES);
                    partner.subscribe(&receiver.url(&format!("/hang/{number}")), settings).await;
                }
                neighbours.receivers.push(receiver);
            }
            Fault::HostileReceivers => {
                for answer in HostileAnswer::all() {
                    neighbours.add(partner, Reply::hostile(answer), first_events(HOSTILE_EVENTS, 4)).await;
                }
                let wait = Reply::hostile(HostileAnswer::patience());
                let patient = neighbours.add(partner, wait, first_events(HOSTILE_EVENTS, 4)).await;
                neighbours.patient.push(patient);
                let down = neighbours.add(partner, Reply::status(503), first_events(DOWN_EVENTS, 1)).await;
                neighbours.down = Some(down);
            }
            _ => {}
        }
        neighbours
    }

    async fn add(&mut self, partner: &Partner, reply: Reply, settings: Value) -> Subscription {
        let receiver = Receiver::start().await;
        receiver.otherwise(reply);
        let subscription = partner.subscribe(&receiver.url("/hook"), settings).await;
        self.receivers.push(receiver);
        subscription
    }

    /// They behave from now on, and those that wished to be asked again in a million years are gone. Answers what they
    /// achieved that they must not.
    pub(super) async fn relent(&self, partner: &Partner, stack: &Stack) -> Option<String> {
        let besieged = self.besieged(stack).await;
        self.receivers.iter().for_each(|receiver| receiver.otherwise(Reply::status(200)));
        if self.receivers.is_empty() {
            return None;
        }
        let far = stack
            .number(&format!(
                "SELECT count(*) FROM webhook_deliveries WHERE next_attempt_at > now() + interval '{LONGEST_WAIT}'"
            ))
            .await;
        for subscription in &self.patient {
            let path = format!("/v1/external/webhooks/{}", subscription.id);
            let answer = partner.api.delete(&path).await;
            assert!((200..300).contains(&answer.status), "DELETE {path}: {} {}", answer.status, answer.body);
        }
        let unasked = self.receivers.iter().filter(|receiver| receiver.count() == 0).count();
        match (far, unasked) {
            (0, 0) => besieged,
            (0, unasked) => Some(format!("{unasked} misbehaving receivers were never asked, so this proves nothing")),
            (far, _) => Some(format!("{far} deliveries wait longer than {LONGEST_WAIT}")),
        }
    }

    /// Waits until the receiver that is down is left alone, or is not; answers what reached it that must not have.
    async fn besieged(&self, stack: &Stack) -> Option<String> {
        let (receiver, down) = self.receivers.last().zip(self.down.as_ref())?;
        let of_it = format!("WHERE onering.typeid('wh', webhook_id) = '{}' AND", down.id);
        let probes = format!("SELECT count(*) FROM circuit_events {of_it} kind = 'PROBED'");
        // One that is not held probes.
        let loose = format!(
            "SELECT count(*) FROM webhook_deliveries {of_it} settled_at IS NULL AND held_reason IS DISTINCT FROM 'BREAKER_OPEN'"
        );
        eventually(PATIENCE, "a receiver that is down is left alone, or is not", async || {
            let requests = i64::try_from(receiver.count()).unwrap_or(i64::MAX);
            let unbidden = requests - stack.number(&probes).await;
            if unbidden > UNBIDDEN {
                return Ok(Some(format!("{unbidden} requests that were no probe reached a receiver that is down")));
            }
            match stack.number(&loose).await {
                ..=1 => Ok(None),
                loose => Err(format!("{loose} deliveries are on their way to it")),
            }
        })
        .await
    }
}

/// A short time limit, and only the first so many events.
fn first_events(count: usize, max_in_flight: usize) -> Value {
    json!({
        "timeout_seconds": 2,
        "max_in_flight": max_in_flight,
        "filter": { "number": [{ "numeric": ["<", count] }] },
    })
}
