use std::hint::black_box;
use std::net::IpAddr;

use chrono::DateTime;
use onering_ids::KeyId;
use onering_keys::access::decide;
use onering_keys::{AccessInput, Credential, KeyRecord, Scope, ScopeSet, Tier, Verdict, parse_cidr};
use onering_rollout::Switches;

use crate::samples::NOW_UNIX_S;
use crate::{Prepared, routine};

/// A call that passes every check: asked before its key is looked up, and again with what was found.
pub(super) fn admit() -> Prepared {
    calls_with(Scope::WRITE_EVENTS)
}

/// A call that the last check refuses.
pub(super) fn refuse() -> Prepared {
    calls_with(Scope::PUBLISH_ANY)
}

fn calls_with(required: Scope) -> Prepared {
    let key = key()?;
    let switches = Switches { external_api: true, ..Switches::default() };
    let address: IpAddr = "203.0.113.77".parse()?;
    let now = DateTime::from_timestamp(NOW_UNIX_S, 0).unwrap_or_default();
    routine(move || -> [Verdict; 2] {
        let input = |credential| AccessInput {
            switches: &switches,
            address,
            address_blocked: false,
            credential,
            failures_exceeded: false,
            required_scope: Some(&required),
            now,
        };
        [Credential::NotLookedUp, Credential::Known(&key)].map(|credential| decide(black_box(&input(credential))))
    })
}

/// With something for every check to look at: the last block of the allowlist holds the address.
fn key() -> Result<KeyRecord, Box<dyn std::error::Error>> {
    let allowlist = ["10.0.0.0/8", "2001:db8::/32", "203.0.113.0/24"];
    Ok(KeyRecord {
        key_id: KeyId::floor(1_790_000_000_000),
        owner_id: "acme".parse()?,
        name: "acme production".to_owned(),
        scopes: ScopeSet::parse(["read:webhooks", "write:webhooks", "write:events"])?,
        tier: Tier::Pro,
        canary: false,
        is_active: true,
        blocked: false,
        revoked: false,
        expires_at: DateTime::from_timestamp(NOW_UNIX_S + 86_400, 0),
        secret_expires_at: None,
        ip_allowlist: allowlist.into_iter().map(parse_cidr).collect::<Result<_, _>>()?,
        rate_limit_override: None,
        burst_per_second: None,
        partner_active: true,
        partner_canary: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_in_and_one_does_not() {
        assert_eq!(admit().unwrap().show(), "[LookUp, Admit]");
        let refused = refuse().unwrap().show();
        assert!(refused.starts_with("[LookUp, Refuse(Refusal { code: MissingScope"), "{refused}");
    }
}
