use chrono::TimeDelta;
use onering_rollout::Percent;

use super::*;
use crate::cidr::parse_cidr;
use crate::record::tests::good_key;
use crate::scope::ScopeSet;

mod properties;

/// A call in owned form, so that tests can spoil parts of it.
#[derive(Debug, Clone)]
struct Call {
    switches: Switches,
    address: IpAddr,
    address_blocked: bool,
    token: Shown,
    key: KeyRecord,
    failures_exceeded: bool,
    required_scope: Option<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Garbled,
    Unknown,
    Good,
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

impl Call {
    /// A call that every check passes, each for a reason of its own.
    fn good() -> Self {
        let key = KeyRecord {
            expires_at: Some(now() + TimeDelta::days(1)),
            secret_expires_at: Some(now() + TimeDelta::hours(1)),
            ip_allowlist: vec![parse_cidr("203.0.113.0/24").unwrap()],
            ..good_key()
        };
        Self {
            switches: Switches { external_api: true, ..Switches::default() },
            address: "203.0.113.7".parse().unwrap(),
            address_blocked: false,
            token: Shown::Good,
            key,
            failures_exceeded: false,
            required_scope: Some(Scope::WRITE_EVENTS),
        }
    }

    fn with(faults: impl DoubleEndedIterator<Item = Fault>) -> Self {
        let mut call = Self::good();
        // The last first, so that of two faults that exclude each other the earlier one stays.
        faults.rev().for_each(|fault| fault.spoil(&mut call));
        call
    }

    fn input<'a>(&'a self, credential: Credential<'a>) -> AccessInput<'a> {
        AccessInput {
            switches: &self.switches,
            address: self.address,
            address_blocked: self.address_blocked,
            credential,
            failures_exceeded: self.failures_exceeded,
            required_scope: self.required_scope.as_ref(),
            now: now(),
        }
    }

    fn decide(&self) -> Verdict {
        decide(&self.input(match self.token {
            Shown::Nothing => Credential::Missing,
            Shown::Garbled => Credential::Garbled,
            Shown::Unknown => Credential::Unknown,
            Shown::Good => Credential::Known(&self.key),
        }))
    }

    fn decide_before_look_up(&self) -> Verdict {
        decide(&self.input(Credential::NotLookedUp))
    }

    fn is_admitted(&self) -> bool {
        self.decide() == Verdict::Admit
    }
}

/// All that can be wrong with a call, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    ApiOff,
    AddressBlocked,
    NoToken,
    GarbledToken,
    UnknownToken,
    Revoked,
    KeyExpired,
    GraceOver,
    KeyDisabled,
    KeyBlocked,
    PartnerDisabled,
    OffTheAllowlist,
    NoCanary,
    OutsideCohort,
    ScopeMissing,
}

impl Fault {
    const ALL: [Self; 15] = [
        Self::ApiOff,
        Self::AddressBlocked,
        Self::NoToken,
        Self::GarbledToken,
        Self::UnknownToken,
        Self::Revoked,
        Self::KeyExpired,
        Self::GraceOver,
        Self::KeyDisabled,
        Self::KeyBlocked,
        Self::PartnerDisabled,
        Self::OffTheAllowlist,
        Self::NoCanary,
        Self::OutsideCohort,
        Self::ScopeMissing,
    ];

    /// The number of the check that finds it, and the code it answers with.
    fn expected(self) -> (u8, Code) {
        match self {
            Self::ApiOff => (1, Code::ExternalApiDisabled),
            Self::AddressBlocked => (2, Code::AddressBlocked),
            Self::NoToken => (3, Code::MissingApiKey),
            Self::GarbledToken | Self::UnknownToken | Self::Revoked | Self::GraceOver => (3, Code::InvalidApiKey),
            Self::KeyExpired => (3, Code::KeyExpired),
            Self::KeyDisabled | Self::KeyBlocked => (4, Code::KeyDisabled),
            Self::PartnerDisabled => (4, Code::PartnerDisabled),
            Self::OffTheAllowlist => (5, Code::IpNotAllowed),
            Self::NoCanary => (6, Code::CanaryOnlyMode),
            Self::OutsideCohort => (7, Code::NotInRollout),
            Self::ScopeMissing => (8, Code::MissingScope),
        }
    }

    fn spoil(self, call: &mut Call) {
        match self {
            Self::ApiOff => call.switches.external_api = false,
            Self::AddressBlocked => call.address_blocked = true,
            Self::NoToken => call.token = Shown::Nothing,
            Self::GarbledToken => call.token = Shown::Garbled,
            Self::UnknownToken => call.token = Shown::Unknown,
            Self::Revoked => call.key.revoked = true,
            Self::KeyExpired => call.key.expires_at = Some(now()),
            Self::GraceOver => call.key.secret_expires_at = Some(now()),
            Self::KeyDisabled => call.key.is_active = false,
            Self::KeyBlocked => call.key.blocked = true,
            Self::PartnerDisabled => call.key.partner_active = false,
            Self::OffTheAllowlist => call.key.ip_allowlist = vec![parse_cidr("198.51.100.0/24").unwrap()],
            Self::NoCanary => call.switches.canary_only = true,
            Self::OutsideCohort => call.switches.api_cohort.percent = Percent::NONE,
            Self::ScopeMissing => call.required_scope = Some(Scope::PUBLISH_ANY),
        }
    }
}

fn code_of(verdict: &Verdict) -> Option<Code> {
    match verdict {
        Verdict::Refuse(refusal) => Some(refusal.code),
        Verdict::Admit | Verdict::LookUp => None,
    }
}

fn subsets() -> impl Iterator<Item = Vec<Fault>> {
    (0_u32..1 << Fault::ALL.len()).map(|bits| {
        let chosen = |(position, fault): (usize, Fault)| (bits >> position & 1 == 1).then_some(fault);
        Fault::ALL.into_iter().enumerate().filter_map(chosen).collect()
    })
}

#[test]
fn a_call_with_nothing_wrong_comes_in() {
    assert_eq!(Call::good().decide(), Verdict::Admit);
}

#[test]
fn each_fault_alone_is_refused_by_its_code() {
    for fault in Fault::ALL {
        let verdict = Call::with([fault].into_iter()).decide();
        assert_eq!(code_of(&verdict), Some(fault.expected().1), "{fault:?}");
    }
}

/// Every combination of faults there is: 32,768 calls, each asked with and without the address's failures used up.
#[test]
fn of_any_faults_together_the_first_check_wins() {
    for faults in subsets() {
        let mut call = Call::with(faults.iter().copied());
        let expected = faults.first().map(|first| first.expected());
        assert_eq!(code_of(&call.decide()), expected.map(|(_, code)| code), "{faults:?}");

        call.failures_exceeded = true;
        let expected = expected.map(|(check, code)| if check == 3 { Code::TooManyAuthFailures } else { code });
        assert_eq!(code_of(&call.decide()), expected, "{faults:?} after too many failures");
    }
}

#[test]
fn before_the_look_up_only_the_first_two_checks_speak() {
    for faults in subsets() {
        let mut call = Call::with(faults.iter().copied());
        for failures_exceeded in [false, true] {
            call.failures_exceeded = failures_exceeded;
            let verdict = call.decide_before_look_up();
            let is_early = faults.first().is_some_and(|first| first.expected().0 <= 2);
            let expected = if is_early { call.decide() } else { Verdict::LookUp };
            assert_eq!(verdict, expected, "{faults:?}");
        }
    }
}

#[test]
fn only_missing_invalid_and_expired_keys_count_as_failures() {
    for fault in Fault::ALL {
        let Verdict::Refuse(refusal) = Call::with([fault].into_iter()).decide() else {
            panic!("{fault:?} is refused");
        };
        assert_eq!(refusal.is_failed_authentication(), fault.expected().0 == 3, "{fault:?}");
    }
}

#[test]
fn canaries_pass_the_canary_and_cohort_checks() {
    // (canary key, canary partner, canary-only mode, percent) → refusal
    let cases = [
        (false, false, false, "100", None),
        (false, false, true, "100", Some(Code::CanaryOnlyMode)),
        (false, false, false, "0", Some(Code::NotInRollout)),
        (false, true, false, "0", None),
        (false, true, true, "100", Some(Code::CanaryOnlyMode)),
        (true, false, true, "100", None),
        (true, false, false, "0", None),
        (true, false, true, "0", None),
        (true, true, true, "0", None),
    ];
    for (canary, partner_canary, canary_only, percent, refusal) in cases {
        let mut call = Call::good();
        (call.key.canary, call.key.partner_canary) = (canary, partner_canary);
        call.switches.canary_only = canary_only;
        call.switches.api_cohort.percent = percent.parse().unwrap();
        assert_eq!(code_of(&call.decide()), refusal, "{canary} {partner_canary} {canary_only} {percent}");
    }
}

#[test]
fn a_key_works_up_to_its_last_instant() {
    let mut call = Call::good();
    for (from_now_ms, key, secret) in [
        (1, None, None),
        (0, Some(Code::KeyExpired), Some(Code::InvalidApiKey)),
        (-1, Some(Code::KeyExpired), Some(Code::InvalidApiKey)),
    ] {
        let end = Some(now() + TimeDelta::milliseconds(from_now_ms));
        (call.key.expires_at, call.key.secret_expires_at) = (end, None);
        assert_eq!(code_of(&call.decide()), key, "key, {from_now_ms} ms");
        (call.key.expires_at, call.key.secret_expires_at) = (None, end);
        assert_eq!(code_of(&call.decide()), secret, "secret, {from_now_ms} ms");
    }
}

#[test]
fn no_scope_needed_is_no_scope_asked() {
    let mut call = Call::good();
    call.key.scopes = ScopeSet::default();
    assert_eq!(code_of(&call.decide()), Some(Code::MissingScope));
    call.required_scope = None;
    assert!(call.is_admitted());
}

#[test]
fn an_empty_allowlist_is_anywhere_and_mapped_addresses_count_as_ipv4() {
    let mut call = Call::good();
    call.address = "::ffff:203.0.113.7".parse().unwrap();
    assert!(call.is_admitted());
    call.address = "2001:db8::1".parse().unwrap();
    assert_eq!(code_of(&call.decide()), Some(Code::IpNotAllowed));
    call.key.ip_allowlist.clear();
    assert!(call.is_admitted());
}

#[test]
fn refusals_say_what_a_caller_can_act_on() {
    let detail = |fault: Fault| match Call::with([fault].into_iter()).decide() {
        Verdict::Refuse(refusal) => Problem::from(refusal).detail,
        verdict => panic!("{fault:?} led to {verdict:?}"),
    };
    assert_eq!(detail(Fault::ScopeMissing), "The API key lacks the scope publish:any, which this call needs.");
    assert_eq!(detail(Fault::OffTheAllowlist), "The API key may not be used from 203.0.113.7.");
    assert_eq!(detail(Fault::Revoked), detail(Fault::UnknownToken), "a revoked key is as good as unknown");
    assert!(Fault::ALL.into_iter().all(|fault| detail(fault).ends_with('.')));
}
