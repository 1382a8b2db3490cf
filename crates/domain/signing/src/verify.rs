use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

use crate::freshness::Freshness;
use crate::header;
use crate::scheme::Scheme;
use crate::secret::SigningSecret;
use crate::sign::{code, is_signable_id};

/// Checks received requests: a receiver's secrets, and how fresh a request must be.
#[derive(Debug)]
pub struct Verifier {
    secrets: Vec<SigningSecret>,
    freshness: Freshness,
}

/// A request that is genuine and fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'h> {
    /// The event's id; `None` where the scheme does not sign it (`timestamp-body`).
    pub event_id: Option<&'h str>,
    /// When it was signed, in Unix seconds.
    pub unix_s: i64,
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
struct Claim<'h> {
    stamp: &'h str,
    unix_s: i64,
    event_id: Option<&'h str>,
    codes: Vec<[u8; 32]>,
}

/// More signatures than a rotation needs are not looked at: their number is the sender's choice.
const MOST_SIGNATURES: usize = 8;

impl Verifier {
    /// A verifier that accepts requests signed with `secret`.
    #[must_use]
    pub fn new(secret: SigningSecret) -> Self {
        Self { secrets: vec![secret], freshness: Freshness::default() }
    }

    /// Accepts requests signed with `secret` as well.
    #[must_use]
    pub fn or(mut self, secret: SigningSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets how fresh a request must be.
    #[must_use]
    pub fn fresh(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
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
            Scheme::StandardWebhooks => standard_webhooks(&find),
            Scheme::TimestampBody => timestamp_body(&find),
        }?;
        let mut genuine = Choice::from(0);
        for secret in &self.secrets {
            let expected = code(secret, scheme, claim.stamp, claim.event_id.unwrap_or_default(), body);
            for given in &claim.codes {
                genuine |= expected.ct_eq(given);
            }
        }
        if !bool::from(genuine) {
            return Err(VerifyError::Signature);
        }
        self.freshness.check(claim.unix_s, now_unix_s)?;
        Ok(Verified { event_id: claim.event_id, unix_s: claim.unix_s })
    }
}

/// `t=<t>,e=<id>[,v1p=<hex>],v1=<hex>`; elements of other names are for later versions and are passed over.
fn x_webhook<'h>(find: &impl Fn(&'static str) -> Option<&'h str>) -> Result<Claim<'h>, VerifyError> {
    const MALFORMED: VerifyError = VerifyError::Malformed { header: header::SIGNATURE };
    let value = required(find, header::SIGNATURE)?;
    let (mut stamp, mut event_id, mut codes) = (None, None, Vec::with_capacity(2));
    for element in value.split(',') {
        let (name, text) = element.trim().split_once('=').ok_or(MALFORMED)?;
        // A second stamp or id would leave open which of them a receiver goes by.
        let twice = match name {
            "t" => stamp.replace(text).is_some(),
            "e" => event_id.replace(text).is_some(),
            "v1" | "v1p" if codes.len() < MOST_SIGNATURES => {
                codes.push(hex_code(text).ok_or(MALFORMED)?);
                false
            }
            _ => false,
        };
        if twice {
            return Err(MALFORMED);
        }
    }
    let (stamp, event_id) = (stamp.ok_or(MALFORMED)?, event_id.ok_or(MALFORMED)?);
    if codes.is_empty() || !is_signable_id(event_id) {
        return Err(MALFORMED);
    }
    // Receivers may go by these headers, which are not signed themselves.
    for (name, signed) in [(header::TIMESTAMP, stamp), (header::EVENT_ID, event_id)] {
        if find(name).is_some_and(|unsigned| unsigned != signed) {
            return Err(VerifyError::Malformed { header: name });
        }
    }
    Ok(Claim { stamp, unix_s: unix_seconds(stamp).ok_or(MALFORMED)?, event_id: Some(event_id), codes })
}

/// `v1,<base64>` one or more times, separated by spaces; other versions are passed over.
fn standard_webhooks<'h>(find: &impl Fn(&'static str) -> Option<&'h str>) -> Result<Claim<'h>, VerifyError> {
    let event_id = required(find, header::STANDARD_ID)?;
    let stamp = required(find, header::STANDARD_TIMESTAMP)?;
    let signatures = required(find, header::STANDARD_SIGNATURE)?;
    if !is_signable_id(event_id) {
        return Err(VerifyError::Malformed { header: header::STANDARD_ID });
    }
    let unix_s = unix_seconds(stamp).ok_or(VerifyError::Malformed { header: header::STANDARD_TIMESTAMP })?;
    let of_this_version = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let codes: Vec<_> = of_this_version.filter_map(base64_code).take(MOST_SIGNATURES).collect();
    if codes.is_empty() {
        return Err(VerifyError::Malformed { header: header::STANDARD_SIGNATURE });
    }
    Ok(Claim { stamp, unix_s, event_id: Some(event_id), codes })
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
    Ok(Claim { stamp, unix_s, event_id: None, codes: vec![given] })
}

fn required<'h>(find: &impl Fn(&'static str) -> Option<&'h str>, header: &'static str) -> Result<&'h str, VerifyError> {
    find(header).ok_or(VerifyError::Missing { header })
}

/// The one way to write a stamp: digits without a sign or leading zeros.
fn unix_seconds(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn hex_code(text: &str) -> Option<[u8; 32]> {
    let mut code = [0; 32];
    hex::decode_to_slice(text, &mut code).ok()?;
    Some(code)
}

fn base64_code(text: &str) -> Option<[u8; 32]> {
    // Exactly 32 bytes are 44 characters: nothing longer is decoded.
    if text.len() == 44 { STANDARD.decode(text).ok()?.try_into().ok() } else { None }
}
