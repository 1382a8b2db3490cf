use onering_rollout::{Cohort, Percent};
use proptest::prelude::*;

use super::*;

fn percents() -> impl Strategy<Value = Percent> {
    (0_u32..=100_000).prop_map(|thousandths| Percent::from_thousandths(thousandths).unwrap())
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    proptest::sample::subsequence(Scope::KNOWN.to_vec(), 0..=Scope::KNOWN.len())
        .prop_map(|scopes| ScopeSet::try_from(scopes).unwrap())
}

fn expiries() -> impl Strategy<Value = Option<DateTime<Utc>>> {
    proptest::option::weighted(0.4, (-50_i64..200).prop_map(|seconds| now() + TimeDelta::seconds(seconds)))
}

prop_compose! {
    fn keys()(
        (canary, partner_canary) in (any::<bool>(), any::<bool>()),
        (is_active, partner_active) in (prop::bool::weighted(0.9), prop::bool::weighted(0.9)),
        (blocked, revoked) in (prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
        (expires_at, secret_expires_at) in (expiries(), expiries()),
        owner in "[a-z]{1,8}",
        scopes in scopes(),
        allowlist in proptest::collection::vec(prop::sample::select(vec!["0.0.0.0/0", "203.0.113.0/28", "10.0.0.0/8"]), 0..3),
    ) -> KeyRecord {
        KeyRecord {
            owner_id: owner.parse().unwrap(),
            scopes,
            ip_allowlist: allowlist.into_iter().map(|block| parse_cidr(block).unwrap()).collect(),
            canary, partner_canary, is_active, partner_active, blocked, revoked, expires_at, secret_expires_at,
            ..good_key()
        }
    }
}

prop_compose! {
    fn calls()(
        key in keys(),
        external_api in prop::bool::weighted(0.9),
        canary_only in prop::bool::weighted(0.3),
        (percent, salt) in (percents(), "[a-z]{1,4}"),
        last_octet in 0_u8..32,
        address_blocked in prop::bool::weighted(0.1),
        failures_exceeded: bool,
        required_scope in proptest::option::of(prop::sample::select(Scope::KNOWN.to_vec())),
    ) -> Call {
        let api_cohort = Cohort { percent, salt };
        Call {
            switches: Switches { external_api, canary_only, api_cohort, ..Switches::default() },
            address: [203, 0, 113, last_octet].into(),
            token: Shown::Good,
            address_blocked, key, failures_exceeded, required_scope,
        }
    }
}

/// The sentence of the contract, written a second time as one condition.
fn should_come_in(call: &Call) -> bool {
    let Call { switches, key, .. } = call;
    let over = |end: Option<DateTime<Utc>>| end.is_some_and(|end| end <= now());
    switches.external_api
        && !call.address_blocked
        && !(key.revoked || over(key.expires_at) || over(key.secret_expires_at))
        && (key.is_active && !key.blocked && key.partner_active)
        && (key.ip_allowlist.is_empty() || key.ip_allowlist.iter().any(|block| block.contains(&call.address)))
        && (key.canary || !switches.canary_only)
        && (key.canary || key.partner_canary || switches.api_cohort.contains(&key.owner_id, false))
        && call.required_scope.as_ref().is_none_or(|scope| key.scopes.contains(scope))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn a_call_comes_in_exactly_when_nothing_stands_against_it(call in calls()) {
        prop_assert_eq!(call.is_admitted(), should_come_in(&call));
    }

    #[test]
    fn neighbours_failures_never_refuse_a_good_token(call in calls()) {
        let alone = Call { failures_exceeded: false, ..call.clone() };
        let among_failures = Call { failures_exceeded: true, ..call };
        prop_assert_eq!(alone.is_admitted(), among_failures.is_admitted());
    }

    #[test]
    fn what_the_look_up_finds_cannot_lift_an_early_refusal(call in calls()) {
        if let Verdict::Refuse(early) = call.decide_before_look_up() {
            prop_assert_eq!(call.decide(), Verdict::Refuse(early));
        }
    }

    #[test]
    fn opening_anything_wider_shuts_nobody_out(call in calls(), percent in percents(), more in scopes()) {
        let came_in = call.is_admitted();
        let cohort = &call.switches.api_cohort;
        let wider_cohort = Cohort { percent: percent.max(cohort.percent), salt: cohort.salt.clone() };
        let all_scopes: Vec<_> = call.key.scopes.iter().chain(more.iter()).cloned().collect();
        let widened = Call {
            switches: Switches { canary_only: false, api_cohort: wider_cohort, ..call.switches.clone() },
            key: KeyRecord {
                scopes: ScopeSet::try_from(all_scopes).unwrap(),
                expires_at: None,
                secret_expires_at: None,
                ip_allowlist: Vec::new(),
                partner_canary: true,
                ..call.key.clone()
            },
            ..call
        };
        prop_assert!(widened.is_admitted() || !came_in);
    }

    #[test]
    fn one_more_fault_never_lets_a_call_in(mut call in calls(), fault in prop::sample::select(Fault::ALL.to_vec())) {
        let is_no_fault_for_a_canary = match fault {
            Fault::NoCanary => call.key.canary,
            Fault::OutsideCohort => call.key.is_canary_in_rollout(),
            _ => false,
        };
        prop_assume!(!is_no_fault_for_a_canary);
        call.key.scopes = ScopeSet::all_partner();
        fault.spoil(&mut call);
        prop_assert!(!call.is_admitted());
    }
}
