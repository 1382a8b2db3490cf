//! The access decision: whether a call to the external API comes in, and if not, why.
//!
//! One function, [`decide`], over plain data. It is asked up to twice for a call: before the key is looked up, so that
//! a closed API and a blocked address cost no look-up, and with what the look-up found. The checks run in a fixed order
//! and the first that refuses is the answer; the order is part of the contract with partners:
//!
//! 1. the external API is open
//! 2. the address is not blocked
//! 3. the token opens a key, which is neither revoked nor expired
//! 4. the key and its partner are enabled
//! 5. the key may be used from the address
//! 6. the key is a canary, in canary-only mode
//! 7. the partner is in the rollout cohort
//! 8. the key has the scope
//!
//! The ninth, the rate limit, takes from shared counters and so comes after [`Verdict::Admit`]; what is refused here
//! spends no quota.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use onering_problem::{Code, Problem};
use onering_rollout::Switches;

use crate::cidr::any_contains;
use crate::record::KeyRecord;
use crate::scope::Scope;

/// All the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct AccessInput<'a> {
    /// The switches in force.
    pub switches: &'a Switches,
    /// Where the call comes from, as [`crate::ClientAddress`] resolves it.
    pub address: IpAddr,
    /// Whether that address is on the blocklist.
    pub address_blocked: bool,
    /// What is known about the token so far.
    pub credential: Credential<'a>,
    /// Whether the address has used up its failed authentications, as [`crate::AuthFailures`] counts them.
    pub failures_exceeded: bool,
    /// The scope the call needs; `None` where any key will do.
    pub required_scope: Option<&'a Scope>,
    /// The present.
    pub now: DateTime<Utc>,
}

/// What is known about the token of a call.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// There is none.
    Missing,
    /// There is one, and its form or checksum shows that it was never given out.
    Garbled,
    /// It has the right form; what it opens is not known yet.
    NotLookedUp,
    /// It opens nothing.
    Unknown,
    /// It opens this key.
    Known(&'a KeyRecord),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The call comes in, if its rate limit lets it.
    Admit,
    /// Look the token up and ask again with what was found.
    LookUp,
    /// The call is refused.
    Refuse(Refusal),
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The check that refused, as a code.
    pub code: Code,
    /// What happened, for the caller to read.
    pub detail: Cow<'static, str>,
}

impl Refusal {
    /// Whether this refusal counts towards the failed authentications of its address.
    #[must_use]
    pub const fn is_failed_authentication(&self) -> bool {
        matches!(self.code, Code::MissingApiKey | Code::InvalidApiKey | Code::KeyExpired)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code).detail(refusal.detail)
    }
}

/// Decides a call.
#[must_use]
pub fn decide(input: &AccessInput<'_>) -> Verdict {
    run_checks(input).unwrap_or_else(Verdict::Refuse)
}

fn run_checks(input: &AccessInput<'_>) -> Result<Verdict, Refusal> {
    api_is_open(input.switches)?;
    address_is_not_blocked(input)?;
    let Some(key) = token_opens_a_key(input)? else {
        return Ok(Verdict::LookUp);
    };
    key_and_partner_are_enabled(key)?;
    address_is_on_the_allowlist(key, input.address)?;
    key_is_canary_if_it_must(key, input.switches)?;
    partner_is_in_the_cohort(key, input.switches)?;
    key_has_the_scope(key, input.required_scope)?;
    Ok(Verdict::Admit)
}

fn api_is_open(switches: &Switches) -> Result<(), Refusal> {
    ensure(switches.external_api, Code::ExternalApiDisabled, "The external API is switched off at the moment.")
}

fn address_is_not_blocked(input: &AccessInput<'_>) -> Result<(), Refusal> {
    ensure(!input.address_blocked, Code::AddressBlocked, "Calls from this address are blocked.")
}

/// `None` while the token is not looked up.
///
/// An address with too many failures gets no more answers about tokens, only 429. This turns refusals into other
/// refusals and nothing else, so a good token is never refused for its neighbours' failures.
fn token_opens_a_key<'a>(input: &AccessInput<'a>) -> Result<Option<&'a KeyRecord>, Refusal> {
    authenticate(input.credential, input.now).map_err(|refusal| {
        if input.failures_exceeded {
            refuse(Code::TooManyAuthFailures, "Too many calls from this address came without a valid API key.")
        } else {
            refusal
        }
    })
}

fn authenticate(credential: Credential<'_>, now: DateTime<Utc>) -> Result<Option<&KeyRecord>, Refusal> {
    let invalid = |detail| Err(refuse(Code::InvalidApiKey, detail));
    let key = match credential {
        Credential::NotLookedUp => return Ok(None),
        Credential::Known(key) => key,
        Credential::Missing => return Err(refuse(Code::MissingApiKey, "The request carries no API key.")),
        Credential::Garbled => return invalid("The API key is incomplete or mistyped."),
        Credential::Unknown => return invalid("The API key is unknown."),
    };
    let has_passed = |expires_at: Option<DateTime<Utc>>| expires_at.is_some_and(|expires_at| expires_at <= now);
    // A revoked key is answered like one that never was: whoever still holds it learns nothing more.
    if key.revoked {
        return invalid("The API key is unknown.");
    }
    // The key before the secret: when both are over, that the key has expired is what its holder must know.
    if has_passed(key.expires_at) {
        return Err(refuse(Code::KeyExpired, "The API key has expired."));
    }
    if has_passed(key.secret_expires_at) {
        return invalid("The API key was rotated, and this secret of it is no longer valid.");
    }
    Ok(Some(key))
}

fn key_and_partner_are_enabled(key: &KeyRecord) -> Result<(), Refusal> {
    ensure(key.is_active && !key.blocked, Code::KeyDisabled, "The API key is disabled.")?;
    ensure(key.partner_active, Code::PartnerDisabled, "The partner this API key belongs to is disabled.")
}

fn address_is_on_the_allowlist(key: &KeyRecord, address: IpAddr) -> Result<(), Refusal> {
    let allowed = key.ip_allowlist.is_empty() || any_contains(&key.ip_allowlist, address);
    if allowed {
        return Ok(());
    }
    // The address is the caller's own, and behind proxies not always the one it expects.
    let detail = format!("The API key may not be used from {}.", address.to_canonical());
    Err(Refusal { code: Code::IpNotAllowed, detail: Cow::Owned(detail) })
}

fn key_is_canary_if_it_must(key: &KeyRecord, switches: &Switches) -> Result<(), Refusal> {
    ensure(key.canary || !switches.canary_only, Code::CanaryOnlyMode, "Only canary keys are admitted at the moment.")
}

fn partner_is_in_the_cohort(key: &KeyRecord, switches: &Switches) -> Result<(), Refusal> {
    let inside = switches.api_cohort.contains(&key.owner_id, key.is_canary_in_rollout());
    ensure(inside, Code::NotInRollout, "The rollout of the external API has not reached this partner yet.")
}

fn key_has_the_scope(key: &KeyRecord, required: Option<&Scope>) -> Result<(), Refusal> {
    match required {
        Some(scope) if !key.scopes.contains(scope) => Err(Refusal {
            code: Code::MissingScope,
            detail: Cow::Owned(format!("The API key lacks the scope {scope}, which this call needs.")),
        }),
        _ => Ok(()),
    }
}

fn ensure(holds: bool, code: Code, detail: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refuse(code, detail)) }
}

const fn refuse(code: Code, detail: &'static str) -> Refusal {
    Refusal { code, detail: Cow::Borrowed(detail) }
}

#[cfg(test)]
mod tests;
