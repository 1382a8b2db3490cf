use chrono::{DateTime, Utc};
use onering_keys::rotation::Grace;
use onering_problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use super::create_body::blocks;
use crate::fields::{Cidr, Days, expiry};
use crate::operations::rotate_key::RotationPlan;

/// A rotation. May be left out altogether; the key keeps what is left out here or null.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RotateKey)]
pub(crate) struct RotateKeyBody {
    /// True (by default): the same key gets a new secret, with one identity and one quota. False: a new key takes over, and the
    /// old one expires after the grace.
    preserve_key_id: Option<bool>,
    /// How long the old secret goes on working, in seconds: a day by default; 0 ends it at once.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 2_592_000, example = 86_400)]
    grace_seconds: Option<i64>,
    /// Days from now until the key is refused.
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    expires_in_days: Option<Days>,
    /// When the key is refused, in place of `expires_in_days`.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<DateTime<Utc>>,
    /// Addresses and blocks it may be used from, in place of all there were; `[]`: anywhere.
    #[schema(value_type = Option<Vec<String>>)]
    ip_allowlist: Option<Vec<Cidr>>,
}

impl RotateKeyBody {
    pub(super) fn into_plan(self, now: DateTime<Utc>) -> Result<RotationPlan, Problem> {
        Ok(RotationPlan {
            same_key: self.preserve_key_id.unwrap_or(true),
            grace: self.grace_seconds.map(grace).transpose()?.unwrap_or_default(),
            expires_at: expiry(self.expires_at.map(Some), self.expires_in_days.map(Some), now)?.flatten(),
            ip_allowlist: self.ip_allowlist.map(blocks).transpose()?,
        })
    }
}

fn grace(seconds: i64) -> Result<Grace, Problem> {
    let grace = u32::try_from(seconds).ok().and_then(|seconds| Grace::from_seconds(seconds).ok());
    let rule = format!("grace_seconds must be from 0 to {}.", Grace::MAX_SECONDS);
    grace.ok_or_else(|| Problem::invalid("grace_seconds", rule))
}
