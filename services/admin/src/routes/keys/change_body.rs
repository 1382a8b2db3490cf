use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use onering_keys::{Scope, Tier};
use onering_problem::Problem;
use onering_rate_limit::Limit;
use onering_store::api_keys::KeyChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::create_body::{blocks, scope_set};
use crate::fields::{Cidr, Days, Name, Notes, either, expiry, given, required};

/// A change of a key. What is left out stays; null takes a value away where a key can be without it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeKey)]
pub(crate) struct ChangeKeyBody {
    /// For people: 1–200 characters.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    name: Option<Option<Name>>,
    /// What it may do, in place of all it may now.
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Option<Vec<Scope>>>,
    /// `free`, `pro` or `enterprise`.
    #[schema(value_type = Option<String>, pattern = "^(free|pro|enterprise)$", nullable = false)]
    #[serde(default, deserialize_with = "given")]
    tier: Option<Option<Tier>>,
    /// The same as `tier`.
    #[schema(value_type = Option<String>, pattern = "^(free|pro|enterprise)$", nullable = false)]
    #[serde(default, deserialize_with = "given")]
    rate_limit_tier: Option<Option<Tier>>,
    /// Calls an hour for this key alone. Null: its tier's.
    #[schema(value_type = Option<u64>, minimum = 1)]
    #[serde(default, deserialize_with = "given")]
    rate_limit_override: Option<Option<Limit>>,
    /// Calls a second, at most. Null: no such limit.
    #[schema(value_type = Option<u32>, minimum = 1)]
    #[serde(default, deserialize_with = "given")]
    burst_per_second: Option<Option<NonZeroU32>>,
    /// Whether it is a canary key.
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    canary_enabled: Option<Option<bool>>,
    /// The same as `canary_enabled`.
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    canary: Option<Option<bool>>,
    /// Addresses and blocks it may be used from, in place of all there were. Null: anywhere.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default, deserialize_with = "given")]
    ip_allowlist: Option<Option<Vec<Cidr>>>,
    /// When it is refused. Null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Option<DateTime<Utc>>>,
    /// Days from now until it is refused, in place of `expires_at`. Null: never.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    #[serde(default, deserialize_with = "given")]
    expires_in_days: Option<Option<Days>>,
    /// The operator's own notes, in place of all there were: at most 4,096 bytes of JSON. Null: none.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Option<Notes>>,
}

impl ChangeKeyBody {
    pub(super) fn into_change(self, now: DateTime<Utc>) -> Result<KeyChange, Problem> {
        let tier = required("tier", self.tier)?;
        let canary = required("canary_enabled", self.canary_enabled)?;
        Ok(KeyChange {
            name: required("name", self.name)?.map(|Name(name)| name),
            scopes: required("scopes", self.scopes)?.map(scope_set).transpose()?,
            tier: either(tier, "rate_limit_tier", required("rate_limit_tier", self.rate_limit_tier)?)?,
            rate_limit_override: self.rate_limit_override,
            burst_per_second: self.burst_per_second.map(|burst| burst.map(|burst| burst.get().into())),
            canary: either(canary, "canary", required("canary", self.canary)?)?,
            ip_allowlist: self.ip_allowlist.map(|list| blocks(list.unwrap_or_default())).transpose()?,
            expires_at: expiry(self.expires_at, self.expires_in_days, now)?,
            metadata: self.metadata.map(|notes| notes.unwrap_or_default().into()),
        })
    }
}
