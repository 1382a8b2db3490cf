//! What arrived at the sink, and what each arrival is answered with. The judging is pure; the clock is an argument.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_signing::{Freshness, KeyAge, ReceiverKey, Verifier, VerifyError, header};
use serde::{Serialize, Serializer};

use crate::signatures::schemes_to_judge;

/// Arrivals kept for listing; older ones are forgotten, their ids are not.
const KEPT: usize = 100_000;

/// One request as it arrived.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Arrival {
    pub(crate) event_id: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) delivery_id: Option<String>,
    pub(crate) attempt: Option<u32>,
    /// True when signature and stamp were checked and are right.
    pub(crate) verified: bool,
    /// Which of the sender's secrets it was verified with; the previous one, if any signature was.
    #[serde(serialize_with = "word")]
    pub(crate) verified_with: Option<KeyAge>,
    /// What it was answered with.
    pub(crate) status: u16,
    pub(crate) received_at: DateTime<Utc>,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// As it arrived; lossy where it was not UTF-8.
    pub(crate) body: String,
}

fn word<S: Serializer>(age: &Option<KeyAge>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(KeyAge::as_str).serialize(serializer)
}

/// What the sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 200: taken.
    Received,
    /// 200: this event was taken before.
    Duplicate,
    /// 400: no event id, or no signature headers.
    MissingHeaders,
    /// 401: not signed with the secret.
    BadSignature,
    /// 409 with `X-Webhook-Error: REPLAY_EXPIRED`: genuine, but too old.
    Stale,
    /// What `--fail` asked for.
    Scripted(u16),
}

impl Reply {
    /// The status it is answered with.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Received | Self::Duplicate => 200,
            Self::MissingHeaders => 400,
            Self::BadSignature => 401,
            Self::Stale => 409,
            Self::Scripted(status) => status,
        }
    }

    /// The word in the answer's body, and in the log line.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Duplicate => "duplicate",
            Self::MissingHeaders => "missing headers",
            Self::BadSignature => "bad signature",
            Self::Stale => "replay expired",
            Self::Scripted(_) => "failing as asked",
        }
    }
}

/// The receiver's memory and rules.
#[derive(Debug)]
pub(crate) struct Arrivals {
    verifier: Option<Verifier>,
    fail: Option<u16>,
    /// How many requests are still to be failed; `None` for all.
    failures_left: Option<u64>,
    taken: HashSet<String>,
    list: Vec<Arrival>,
}

impl Arrivals {
    /// A receiver; `fail` is answered to the first `times` genuine requests, to all of them without a number.
    pub(crate) fn new(keys: Vec<ReceiverKey>, replay_window: Duration, fail: Option<u16>, times: Option<u64>) -> Self {
        let has_keys = !keys.is_empty();
        let verifier = Verifier::knowing(keys).fresh(Freshness::within(replay_window));
        Self {
            verifier: has_keys.then_some(verifier),
            fail,
            failures_left: times,
            taken: HashSet::new(),
            list: Vec::new(),
        }
    }

    /// From now on requests must be signed with this secret.
    pub(crate) fn expect(&mut self, keys: Vec<ReceiverKey>, replay_window: Duration) {
        self.verifier = Some(Verifier::knowing(keys).fresh(Freshness::within(replay_window)));
    }

    /// From now on every genuine request is answered with this status, or taken again.
    pub(crate) const fn fail(&mut self, status: Option<u16>) {
        self.fail = status;
        self.failures_left = None;
    }

    /// Judges and records one request; header names are in lower case.
    pub(crate) fn receive(&mut self, headers: BTreeMap<String, String>, body: &[u8], now: DateTime<Utc>) -> Reply {
        let find = |name: &'static str| headers.get(&name.to_ascii_lowercase()).map(String::as_str);
        let event_id = find(header::EVENT_ID).or_else(|| find(header::STANDARD_ID)).map(str::to_owned);
        let genuine = self.judge(find, body, now);
        let verified_with = genuine.ok().flatten();
        let reply = match (genuine, &event_id) {
            (Err(refusal), _) => refusal,
            (Ok(_), None) => Reply::MissingHeaders,
            (Ok(_), Some(event_id)) => match self.scripted_failure() {
                Some(status) => Reply::Scripted(status),
                None if self.taken.insert(event_id.clone()) => Reply::Received,
                None => Reply::Duplicate,
            },
        };
        let arrival = Arrival {
            event_type: find(header::EVENT).map(str::to_owned),
            delivery_id: find(header::DELIVERY_ID).map(str::to_owned),
            attempt: find(header::ATTEMPT).and_then(|attempt| attempt.parse().ok()),
            event_id,
            verified: verified_with.is_some(),
            verified_with,
            status: reply.status(),
            received_at: now,
            body: String::from_utf8_lossy(body).into_owned(),
            headers,
        };
        if self.list.len() >= KEPT {
            self.list.drain(..KEPT / 10);
        }
        self.list.push(arrival);
        reply
    }

    /// What arrived, oldest first.
    pub(crate) fn list(&self) -> &[Arrival] {
        &self.list
    }

    /// Forgets everything; what was taken before counts as new again.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.taken.clear();
    }

    /// Checks every signature that is there and that the keys are for, since a receiver may go by any of them; without keys
    /// everything passes, unverified.
    fn judge<'h>(
        &self,
        find: impl Fn(&'static str) -> Option<&'h str> + Copy,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<KeyAge>, Reply> {
        let Some(verifier) = &self.verifier else { return Ok(None) };
        let judge = |scheme| match verifier.verify(scheme, find, body, now.timestamp()) {
            Ok(verified) => Ok(verified.with),
            Err(VerifyError::Missing { .. }) => Err(Reply::MissingHeaders),
            Err(error) if error.is_stale() => Err(Reply::Stale),
            Err(_) => Err(Reply::BadSignature),
        };
        let ages: Vec<KeyAge> =
            schemes_to_judge(verifier, find).into_iter().map(judge).collect::<Result<_, Reply>>()?;
        // Where one scheme's key was replaced and another's was not, the receiver is not done yet.
        ages.into_iter().max().map(Some).ok_or(Reply::MissingHeaders)
    }

    fn scripted_failure(&mut self) -> Option<u16> {
        let status = self.fail?;
        match &mut self.failures_left {
            None => Some(status),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(status)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use onering_signing::{KeyPair, LiveSecrets, Scheme, Schemes, SigningInput, SigningKeys, SigningSecret, sign};

    use super::*;

    const BODY: &[u8] = b"{\"event_id\":\"evt_1\"}";

    fn now() -> DateTime<Utc> {
        "2026-11-22T00:00:00Z".parse().unwrap()
    }

    fn signed(event_id: &str, unix_s: i64) -> BTreeMap<String, String> {
        let secrets = LiveSecrets::from(SigningSecret::from_entropy([7; 32]));
        let schemes = Schemes::default();
        let mut headers: BTreeMap<String, String> =
            sign(&secrets, schemes, &SigningInput { event_id, unix_s, body: BODY })
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect();
        headers.insert("x-webhook-event-id".to_owned(), event_id.to_owned());
        headers
    }

    fn sink(fail: Option<u16>, times: Option<u64>) -> Arrivals {
        Arrivals::new(vec![SigningSecret::from_entropy([7; 32]).into()], Duration::from_secs(300), fail, times)
    }

    #[test]
    fn genuine_requests_are_taken_once() {
        let mut sink = sink(None, None);
        assert_eq!(sink.receive(signed("evt_1", now().timestamp()), BODY, now()), Reply::Received);
        assert_eq!(sink.receive(signed("evt_1", now().timestamp()), BODY, now()), Reply::Duplicate);
        assert!(sink.list().iter().all(|arrival| arrival.verified));
        sink.clear();
        assert_eq!(sink.receive(signed("evt_1", now().timestamp()), BODY, now()), Reply::Received);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut sink = sink(None, None);
        let stamp = now().timestamp();
        assert_eq!(sink.receive(BTreeMap::new(), BODY, now()), Reply::MissingHeaders);
        assert_eq!(sink.receive(signed("evt_1", stamp), b"another body", now()), Reply::BadSignature);
        assert_eq!(sink.receive(signed("evt_1", stamp - 301), BODY, now()), Reply::Stale);
        assert_eq!(sink.receive(signed("evt_1", stamp + 31), BODY, now()), Reply::Stale);
        assert!(sink.list().iter().all(|arrival| !arrival.verified));
        assert_eq!(
            sink.receive(signed("evt_1", stamp), BODY, now()),
            Reply::Received,
            "refusals do not count as taken"
        );
    }

    #[test]
    fn every_signature_must_be_right() {
        let stamp = now().timestamp();
        for name in ["x-webhook-signature", "webhook-signature"] {
            let mut sink = sink(None, None);
            let mut headers = signed("evt_1", stamp);
            let other = signed("evt_2", stamp)[name].replace("evt_2", "evt_1");
            headers.insert(name.to_owned(), other);
            assert_eq!(sink.receive(headers, BODY, now()), Reply::BadSignature, "{name}");

            let mut alone = signed("evt_1", stamp);
            alone.remove(name);
            assert_eq!(sink.receive(alone, BODY, now()), Reply::Received, "without {name}");
        }
    }

    fn keys(seed: u8) -> SigningKeys {
        let key_pair = Some(KeyPair::from_entropy([seed; 32]));
        SigningKeys { secret: SigningSecret::from_entropy([seed; 32]), key_pair }
    }

    fn in_overlap(schemes: impl IntoIterator<Item = Scheme>) -> BTreeMap<String, String> {
        let secrets = LiveSecrets { current: keys(8), previous: Some(keys(7)) };
        let input = SigningInput { event_id: "evt_1", unix_s: now().timestamp(), body: BODY };
        let signed = sign(&secrets, Schemes::new(schemes).unwrap(), &input);
        signed.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    #[test]
    fn which_secret_fits_is_said() {
        let public = |seed| ReceiverKey::from(keys(seed).key_pair.unwrap().public_key());
        let secret = |seed| ReceiverKey::from(keys(seed).secret);
        for (known, expected) in [
            (vec![secret(7)], Some(KeyAge::Previous)),
            (vec![secret(8)], Some(KeyAge::Current)),
            (vec![secret(7), secret(8)], Some(KeyAge::Current)),
            (vec![public(7)], Some(KeyAge::Previous)),
            (vec![public(8), secret(8)], Some(KeyAge::Current)),
            (vec![public(7), secret(8)], Some(KeyAge::Previous)),
            (vec![secret(9)], None),
            (vec![secret(8), public(9)], None),
        ] {
            let mut sink = Arrivals::new(known, Duration::from_secs(300), None, None);
            sink.receive(in_overlap(Scheme::ALL), BODY, now());
            assert_eq!(sink.list()[0].verified_with, expected, "{sink:?}");
        }
    }

    #[test]
    fn a_key_of_the_other_kind_leaves_nothing_to_verify() {
        let mut sink = sink(None, None);
        let reply = sink.receive(in_overlap([Scheme::StandardWebhooksV1a]), BODY, now());
        assert_eq!(reply, Reply::MissingHeaders);
    }

    #[test]
    fn failures_are_scripted() {
        let mut sink = sink(Some(503), Some(2));
        let stamp = now().timestamp();
        let replies: Vec<Reply> = (0..4).map(|_| sink.receive(signed("evt_1", stamp), BODY, now())).collect();
        assert_eq!(replies, [Reply::Scripted(503), Reply::Scripted(503), Reply::Received, Reply::Duplicate]);
    }

    #[test]
    fn without_a_secret_nothing_counts_as_verified() {
        let mut sink = Arrivals::new(Vec::new(), Duration::from_secs(300), None, None);
        assert_eq!(sink.receive(signed("evt_1", 0), BODY, now()), Reply::Received);
        assert!(!sink.list()[0].verified);
    }
}
