//! A partner's receiver: it takes its time, checks every signature and counts what arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use onering_signing::{Scheme, Verifier, header};
use onering_testkit::{Received, Receiver, Reply};

/// What arrived of one event.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pub(super) times: usize,
    pub(super) attempts: BTreeSet<String>,
    pub(super) deliveries: BTreeSet<String>,
    pub(super) bodies: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<String, Arrivals>,
    verifier: Option<Verifier>,
    /// Requests whose signature or stamp a careful receiver refuses, and why the first of them.
    refused: usize,
    first_refusal: Option<String>,
}

/// A receiver and what it got.
#[derive(Debug)]
pub(super) struct Inbox {
    receiver: Receiver,
    state: Arc<Mutex<State>>,
}

impl Inbox {
    /// A receiver that takes this long for each request.
    pub(super) async fn open(takes: Duration) -> Self {
        let receiver = Receiver::start().await;
        let state = Arc::<Mutex<State>>::default();
        let into = Arc::clone(&state);
        receiver.otherwise_by(move |request| {
            let refusal = lock(&into).take(request);
            // As the guide's receivers answer: what is not genuine or not fresh is not taken.
            Reply::status(if refusal { 401 } else { 200 }).delay(takes)
        });
        Self { receiver, state }
    }

    /// Where it receives.
    pub(super) fn url(&self) -> String {
        self.receiver.url("/hook")
    }

    /// From now on what is not signed with this secret, within five minutes, is refused.
    pub(super) fn expect(&self, secret: &str) {
        let secret = secret.parse().unwrap_or_else(|error| panic!("the subscription's secret: {error}"));
        lock(&self.state).verifier = Some(Verifier::new(secret));
    }

    /// How many different events arrived.
    pub(super) fn len(&self) -> usize {
        lock(&self.state).events.len()
    }

    /// How many of these did not arrive.
    pub(super) fn missing(&self, accepted: &BTreeSet<String>) -> usize {
        let state = lock(&self.state);
        accepted.iter().filter(|event| !state.events.contains_key(*event)).count()
    }

    /// How many arrived that are none of these.
    pub(super) fn strangers(&self, accepted: &BTreeSet<String>) -> usize {
        lock(&self.state).events.keys().filter(|event| !accepted.contains(*event)).count()
    }

    /// How often something was refused, and why first.
    pub(super) fn refused(&self) -> (usize, Option<String>) {
        let state = lock(&self.state);
        (state.refused, state.first_refusal.clone())
    }

    /// Looks at what arrived of each event.
    pub(super) fn each<T>(&self, look: impl FnMut((&String, &Arrivals)) -> T) -> Vec<T> {
        lock(&self.state).events.iter().map(look).collect()
    }
}

impl State {
    /// Notes a request; answers whether it is to be refused.
    fn take(&mut self, request: &Received) -> bool {
        if let Some(refusal) = self.judge(request) {
            self.refused += 1;
            self.first_refusal.get_or_insert(refusal);
            return true;
        }
        let text = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let arrivals = self.events.entry(text(header::STANDARD_ID)).or_default();
        arrivals.times += 1;
        arrivals.attempts.insert(text(header::ATTEMPT));
        arrivals.deliveries.insert(text(header::DELIVERY_ID));
        arrivals.bodies.insert(request.body.clone());
        false
    }

    fn judge(&self, request: &Received) -> Option<String> {
        let verifier = self.verifier.as_ref()?;
        let now = request.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        [Scheme::XWebhook, Scheme::StandardWebhooks].into_iter().find_map(|scheme| {
            let verified = verifier.verify(scheme, |name| request.header(name), &request.body, now);
            verified.err().map(|error| format!("{}: {error}", scheme.as_str()))
        })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
