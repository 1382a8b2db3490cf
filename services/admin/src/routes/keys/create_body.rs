use chrono::{DateTime, Utc};
use ipnet::IpNet;
use onering_ids::OwnerId;
use onering_keys::{Scope, ScopeSet, Tier};
use onering_problem::Problem;
use onering_rate_limit::Limit;
use serde::Deserialize;
use std::num::NonZeroU32;
use utoipa::ToSchema;

use crate::fields::{Cidr, Days, Name, Notes, either, expiry, given};
use crate::operations::create_key::KeyPlan;

/// What a key without a name is called.
const UNNAMED: &str = "unnamed key";

/// The most blocks of an allowlist.
pub(super) const MOST_BLOCKS: usize = 100;

/// A key to make. Everything may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateKey)]
pub(crate) struct CreateKeyBody {
    /// For people: 1–200 characters.
    #[schema(value_type = Option<String>, example = "Acme, production", min_length = 1, max_length = 200)]
    name: Option<Name>,
    /// The partner it belongs to, made if it is new; `default` by default.
    #[schema(value_type = Option<String>, example = "acme", pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// The same as `owner_id`.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_user_id: Option<OwnerId>,
    /// `free` (by default), `pro` or `enterprise`: 100, 1,000 or 10,000 an hour.
    #[schema(value_type = Option<String>, example = "pro", pattern = "^(free|pro|enterprise)$")]
    tier: Option<Tier>,
    /// The same as `tier`.
    #[schema(value_type = Option<String>, pattern = "^(free|pro|enterprise)$")]
    rate_limit_tier: Option<Tier>,
    /// What it may do; every partner scope by default.
    #[schema(value_type = Option<Vec<String>>, example = json!(["write:events", "read:webhooks"]))]
    scopes: Option<Vec<Scope>>,
    /// Whether it is a canary key: passes canary-only mode, and is limited to 10 an hour.
    canary_enabled: Option<bool>,
    /// The same as `canary_enabled`.
    canary: Option<bool>,
    /// Addresses and blocks it may be used from; anywhere by default.
    #[schema(value_type = Option<Vec<String>>, example = json!(["203.0.113.0/24"]))]
    ip_allowlist: Option<Vec<Cidr>>,
    /// Days until it is refused; never by default.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    #[serde(default, deserialize_with = "given")]
    expires_in_days: Option<Option<Days>>,
    /// When it is refused, in place of `expires_in_days`.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Option<DateTime<Utc>>>,
    /// Calls an hour for this key alone, in place of its tier's.
    #[schema(value_type = Option<u64>, minimum = 1)]
    rate_limit_override: Option<Limit>,
    /// Calls a second, at most.
    #[schema(value_type = Option<u32>, minimum = 1)]
    burst_per_second: Option<NonZeroU32>,
    /// The operator's own notes: at most 4,096 bytes of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Notes>,
}

impl CreateKeyBody {
    pub(super) fn into_plan(self, now: DateTime<Utc>) -> Result<KeyPlan, Problem> {
        let canary = either(self.canary_enabled, "canary", self.canary)?;
        Ok(KeyPlan {
            owner_id: either(self.owner_id, "owner_user_id", self.owner_user_id)?.unwrap_or_default(),
            name: self.name.map_or_else(|| UNNAMED.to_owned(), |Name(name)| name),
            scopes: self.scopes.map(scope_set).transpose()?.unwrap_or_else(ScopeSet::all_partner),
            tier: either(self.tier, "rate_limit_tier", self.rate_limit_tier)?.unwrap_or_default(),
            rate_limit_override: self.rate_limit_override,
            burst_per_second: self.burst_per_second.map(|burst| burst.get().into()),
            canary: canary.unwrap_or(false),
            ip_allowlist: blocks(self.ip_allowlist.unwrap_or_default())?,
            expires_at: expiry(
                self.expires_at.filter(Option::is_some),
                self.expires_in_days.filter(Option::is_some),
                now,
            )?
            .flatten(),
            metadata: self.metadata.unwrap_or_default().into(),
        })
    }
}

pub(super) fn scope_set(scopes: Vec<Scope>) -> Result<ScopeSet, Problem> {
    let most = ScopeSet::MAX_SCOPES;
    ScopeSet::try_from(scopes).map_err(|_| Problem::invalid("scopes", format!("A key has at most {most} scopes.")))
}

pub(super) fn blocks(blocks: Vec<Cidr>) -> Result<Vec<IpNet>, Problem> {
    if blocks.len() > MOST_BLOCKS {
        return Err(Problem::invalid("ip_allowlist", format!("An allowlist has at most {MOST_BLOCKS} entries.")));
    }
    Ok(blocks.into_iter().map(|Cidr(block)| block).collect())
}
