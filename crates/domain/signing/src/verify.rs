use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::Choice;

use crate::freshness::Freshness;
use crate::header;
use crate::key_pair::SIGNATURE_BYTES;
use crate::receiver_key::ReceiverKey;
use crate::scheme::Scheme;
use crate::secret::SigningSecret;
use crate::sign::is_signable_id;

/// Checks received requests: a receiver's keys, and how fresh a request must be.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<ReceiverKey>,
    freshness: Freshness,
}

/// A request that is genuine and fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'h> {
    /// The event's id; `None` where the scheme does not sign it (`timestamp-body`).
    pub event_id: Option<&'h str>,
    /// When it was signed, in Unix seconds.
    pub unix_s: i64,
    /// Which of the sender's keys the receiver's key is, by the place of the signature that fits.
    pub with: KeyAge,
}

/// Which of a subscription's keys: of two that sign during a rotation, or the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAge {
    /// The newest.
    Current,
    /// The one before, while a rotation overlaps.
    Previous,
}

impl KeyAge {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Current, Self::Previous];

    /// The word in `X-Webhook-Verified-With` and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }

    /// What a header's value says; other words say nothing.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|age| age.as_str() == word)
    }
}

impl fmt::Display for KeyAge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header the scheme needs is not there.
    #[error("the header {header} is missing")]
    Missing {
        /// Its name.
        header: &'static str,
    },
    /// A header does not have the scheme's form, or contradicts another one.
    #[error("the header {header} is not well-formed")]
    Malformed {
        /// Its name.
        header: &'static str,
    },
    /// No signature fits body, stamp and secret.
    #[error("the signature does not fit")]
    Signature,
    /// The request is genuine and was signed too long ago.
    #[error("the request was signed {age_s} s ago, which is too old")]
    TooOld {
        /// How long ago, in seconds.
        age_s: u64,
    },
    /// The request is genuine and its stamp is in the future.
    #[error("the request's stamp is {ahead_s} s ahead of this clock")]
    TooFarAhead {
        /// How far, in seconds.
        ahead_s: u64,
    },
}

impl VerifyError {
    /// Whether the request is genuine and merely not fresh: what a receiver answers with `REPLAY_EXPIRED`.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::TooOld { .. } | Self::TooFarAhead { .. })
    }
}

/// What a scheme's headers say, before anything of it is believed.
pub(crate) struct Claim<'h> {
    pub(crate) stamp: &'h str,
    unix_s: i64,
    pub(crate) event_id: Option<&'h str>,
    signatures: Vec<(KeyAge, Vec<u8>)>,
}

/// More signatures than a rotation needs are not looked at: their number is the sender's choice.
const MOST_SIGNATURES: usize = 8;

impl Verifier {
    /// A verifier that accepts requests signed with `secret`.
    #[must_use]
    pub fn new(secret: SigningSecret) -> Self {
        Self::knowing([secret.into()])
    }

    /// A verifier that accepts requests signed with any of these keys.
    #[must_use]
    pub fn knowing(keys: impl IntoIterator<Item = ReceiverKey>) -> Self {
        Self { keys: keys.into_iter().collect(), freshness: Freshness::default() }
    }

    /// Accepts requests signed with `secret` as well.
    #[must_use]
    pub fn or(mut self, secret: SigningSecret) -> Self {
        self.keys.push(secret.into());
        self
    }

    /// Sets how fresh a request must be.
    #[must_use]
    pub fn fresh(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Whether it has a key of the kind that `scheme` is verified with.
    #[must_use]
    pub fn can_judge(&self, scheme: Scheme) -> bool {
        self.keys.iter().any(|key| key.is_for(scheme))
    }

    /// Checks a request: headers by `find` (which must not mind the case of names), body, and the receiver's clock in
    /// Unix seconds. The signature is judged first, in constant time, then the stamp.
    ///
    /// # Errors
    /// When something is missing, malformed, not genuine or not fresh.
    pub fn verify<'h>(
        &self,
        scheme: Scheme,
        find: impl Fn(&'static str) -> Option<&'h str>,
        body: &[u8],
        now_unix_s: i64,
    ) -> Result<Verified<'h>, VerifyError> {
        let claim = match scheme {
            Scheme::XWebhook => x_webhook(&find),
            Scheme::StandardWebhooks => standard_webhooks(&find, "v1,", 32),
            Scheme::StandardWebhooksV1a => standard_webhooks(&find, "v1a,", SIGNATURE_BYTES),
            Scheme::TimestampBody => timestamp_body(&find),
        }?;
        let with = self.signed_with(scheme, &claim, body).ok_or(VerifyError::Signature)?;
        self.freshness.check(claim.unix_s, now_unix_s)?;
        Ok(Verified { event_id: claim.event_id, unix_s: claim.unix_s, with })
    }

    /// Which signature fits; the current one's where both do. Which keys were tried tells nobody anything, so only the
    /// comparisons themselves are in constant time.
    fn signed_with(&self, scheme: Scheme, claim: &Claim<'_>, body: &[u8]) -> Option<KeyAge> {
        let mut fitting = [Choice::from(0), Choice::from(0)];
        for expected in self.keys.iter().filter_map(|key| key.expectation(scheme, claim, body)) {
            for (age, given) in &claim.signatures {
                fitting[*age as usize] |= expected.is_met_by(given);
            }
        }
        KeyAge::ALL.into_iter().find(|age| bool::from(fitting[*age as usize]))
    }
}

/// `t=<t>,e=<id>[,v1p=<hex>],v1=<hex>`; elements of other names are for later versions and are passed over.
fn x_webhook<'h>(find: &impl Fn(&'static str) -> Option<&'h str>) -> Result<Claim<'h>, VerifyError> {
    const MALFORMED: VerifyError = VerifyError::Malformed { header: header::SIGNATURE };
    let value = required(find, header::SIGNATURE)?;
    let (mut stamp, mut event_id, mut signatures) = (None, None, Vec::with_capacity(2));
    for element in value.split(',') {
        let (name, text) = element.trim().split_once('=').ok_or(MALFORMED)?;
        // A second stamp or id would leave open which of them a receiver goes by.
        let twice = match name {
            "t" => stamp.replace(text).is_some(),
            "e" => event_id.replace(text).is_some(),
            "v1" | "v1p" if signatures.len() < MOST_SIGNATURES => {
                let age = if name == "v1" { KeyAge::Current } else { KeyAge::Previous };
                signatures.push((age, hex_code(text).ok_or(MALFORMED)?));
                false
            }
            _ => false,
        };
        if twice {
            return Err(MALFORMED);
        }
    }
    let (stamp, event_id) = (stamp.ok_or(MALFORMED)?, event_id.ok_or(MALFORMED)?);
    if signatures.is_empty() || !is_signable_id(event_id) {
        return Err(MALFORMED);
    }
    // Receivers may go by these headers, which are not signed themselves.
    for (name, signed) in [(header::TIMESTAMP, stamp), (header::EVENT_ID, event_id)] {
        if find(name).is_some_and(|unsigned| unsigned != signed) {
            return Err(VerifyError::Malformed { header: name });
        }
    }
    Ok(Claim { stamp, unix_s: unix_seconds(stamp).ok_or(MALFORMED)?, event_id: Some(event_id), signatures })
}

/// `v1,<base64>` one or more times, separated by spaces, the current key's first; other versions are passed over.
fn standard_webhooks<'h>(
    find: &impl Fn(&'static str) -> Option<&'h str>,
    version: &str,
    bytes: usize,
) -> Result<Claim<'h>, VerifyError> {
    let event_id = required(find, header::STANDARD_ID)?;
    let stamp = required(find, header::STANDARD_TIMESTAMP)?;
    let given = required(find, header::STANDARD_SIGNATURE)?;
    if !is_signable_id(event_id) {
        return Err(VerifyError::Malformed { header: header::STANDARD_ID });
    }
    let unix_s = unix_seconds(stamp).ok_or(VerifyError::Malformed { header: header::STANDARD_TIMESTAMP })?;
    let of_this_version = given.split(' ').filter_map(|signature| signature.strip_prefix(version));
    let ages = std::iter::once(KeyAge::Current).chain(std::iter::repeat(KeyAge::Previous));
    let signatures: Vec<_> = of_this_version
        .zip(ages)
        .filter_map(|(signature, age)| Some((age, base64_code(signature, bytes)?)))
        .take(MOST_SIGNATURES)
        .collect();
    if signatures.is_empty() {
        return Err(VerifyError::Malformed { header: header::STANDARD_SIGNATURE });
    }
    Ok(Claim { stamp, unix_s, event_id: Some(event_id), signatures })
}

/// Bare hex.
fn timestamp_body<'h>(find: &impl Fn(&'static str) -> Option<&'h str>) -> Result<Claim<'h>, VerifyError> {
    let stamp = required(find, header::TIMESTAMP)?;
    let (name, value) = match find(header::SIGNATURE_TIMESTAMP_BODY) {
        Some(value) => (header::SIGNATURE_TIMESTAMP_BODY, value),
        None => (header::SIGNATURE, required(find, header::SIGNATURE)?),
    };
    let unix_s = unix_seconds(stamp).ok_or(VerifyError::Malformed { header: header::TIMESTAMP })?;
    let given = hex_code(value).ok_or(VerifyError::Malformed { header: name })?;
    Ok(Claim { stamp, unix_s, event_id: None, signatures: vec![(KeyAge::Current, given)] })
}

fn required<'h>(find: &impl Fn(&'static str) -> Option<&'h str>, header: &'static str) -> Result<&'h str, VerifyError> {
    find(header).ok_or(VerifyError::Missing { header })
}

/// The one way to write a stamp: digits without a sign or leading zeros.
fn unix_seconds(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn hex_code(text: &str) -> Option<Vec<u8>> {
    let mut code = vec![0; 32];
    hex::decode_to_slice(text, &mut code).ok()?;
    Some(code)
}

fn base64_code(text: &str, bytes: usize) -> Option<Vec<u8>> {
    // As long as so many bytes are in base64: nothing longer is decoded.
    let decoded = if text.len() == bytes.div_ceil(3) * 4 { STANDARD.decode(text).ok() } else { None };
    decoded.filter(|decoded| decoded.len() == bytes)
}
