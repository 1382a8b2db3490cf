//! The keys and their use, a page at a time.

use std::collections::HashMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use onering_ids::KeyId;
use onering_metrics_model::{ApiKeyMetrics, ApiKeysReport};
use onering_store::api_keys::{self, ApiKey, KeyFilter};
use onering_store::usage::{self, KeyUsage};
use onering_web::{Limit, Page};

use crate::sources::{ReadError, Sources, read};

/// Keys, newest first, from the one before `before`.
pub(crate) async fn list_api_keys(
    sources: &Sources,
    before: Option<KeyId>,
    limit: Limit,
) -> Result<ApiKeysReport, ReadError> {
    let now = sources.now();
    let rows_wanted = u32::try_from(limit.plus_one()).unwrap_or(u32::MAX);
    let (page, usage) = read(async {
        let connection = &mut *sources.pool.get().await?;
        let rows = api_keys::list(connection, &KeyFilter::default(), before, rows_wanted).await?;
        let page = Page::from_rows(rows, limit, |key| key.key_id);
        let keys: Vec<KeyId> = page.items.iter().map(|key| key.key_id).collect();
        let usage = usage::of_keys(connection, &keys, first_hour(now)).await?;
        Ok((page, usage))
    })
    .await?;
    let usage: HashMap<KeyId, KeyUsage> = usage.into_iter().map(|usage| (usage.key_id, usage)).collect();
    let page = page.map(|key| {
        let used = usage.get(&key.key_id);
        metrics_of(key, used, now)
    });
    Ok(ApiKeysReport { timestamp: now, keys: page.items, next_cursor: page.next_cursor })
}

/// Use is counted by clock hours, as limits are: 24 of them are this one and the 23 before it.
fn first_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now) - TimeDelta::hours(23)
}

fn metrics_of(key: ApiKey, used: Option<&KeyUsage>, now: DateTime<Utc>) -> ApiKeyMetrics {
    ApiKeyMetrics {
        is_active: key.is_active && key.revoked_at.is_none() && key.expires_at.is_none_or(|end| now < end),
        key_id: key.key_id,
        owner_id: key.owner_id,
        name: key.name,
        rate_limit_tier: key.tier.as_str().to_owned(),
        canary_enabled: key.canary,
        // A key without a row made no call: that was read.
        usage_24h: used.map_or(0, |used| used.admitted),
        rate_limit_hits_24h: used.map_or(0, |used| used.refused),
        last_used_at: key.last_used_at,
        expires_at: key.expires_at,
        created_at: key.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_this_hour_and_the_23_before() {
        let first = |now: &str| first_hour(now.parse().unwrap()).to_rfc3339();
        assert_eq!(first("2026-03-02T12:34:56.789Z"), "2026-03-01T13:00:00+00:00");
        assert_eq!(first("2026-03-02T12:00:00Z"), "2026-03-01T13:00:00+00:00");
    }
}
