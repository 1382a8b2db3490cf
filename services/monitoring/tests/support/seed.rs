//! Rows as gateways and workers leave them.

use chrono::{DateTime, Utc};
use onering_ids::{KeyId, SubscriptionId};

use super::Stack;

const NOT_ADDED_UP: &str = "UPDATE delivery_totals_until SET slot = NULL";

impl Stack {
    /// Answers of a gateway in the minute of `at`.
    pub(crate) async fn answers(&self, at: DateTime<Utc>, code: &str, tier: &str, canary: bool, count: i64) {
        self.execute(&format!(
            "INSERT INTO request_stats (minute, process, code, tier, canary, count)
             VALUES ('{}', 'gw-1', '{code}', '{tier}', {canary}, {count})",
            at.to_rfc3339()
        ))
        .await;
    }

    /// Results of a worker in the minute of `at`, which may be long over: what totals there are do not have it.
    pub(crate) async fn results(
        &self,
        at: DateTime<Utc>,
        webhook: SubscriptionId,
        outcome: &str,
        count: i64,
        attempts: i64,
    ) {
        self.execute(&format!(
            "INSERT INTO delivery_stats (minute, process, webhook_id, outcome, count, attempts)
             VALUES ('{}', 'dw-1', '{}', '{outcome}', {count}, {attempts});
             {NOT_ADDED_UP}",
            at.to_rfc3339(),
            webhook.uuid()
        ))
        .await;
    }

    /// Deliveries of a worker in the minute of `at` that took so long.
    pub(crate) async fn latency(&self, at: DateTime<Utc>, bucket_ms: i64, count: i64) {
        self.execute(&format!(
            "INSERT INTO delivery_latency_stats (minute, process, bucket, count)
             VALUES ('{}', 'dw-1', {bucket_ms}, {count});
             {NOT_ADDED_UP}",
            at.to_rfc3339()
        ))
        .await;
    }

    /// A key of `owner`; `more` sets further columns, as in `is_active = false`.
    pub(crate) async fn key(&self, owner: &str, tier: &str, canary: bool, more: &str) -> KeyId {
        let id: KeyId = self.clock.fresh_id();
        let uuid = id.uuid();
        self.execute(&format!(
            "INSERT INTO partners (owner_id, name) VALUES ('{owner}', '{owner}') ON CONFLICT DO NOTHING;
             INSERT INTO external_api_keys (key_id, owner_user_id, name, scopes, rate_limit_tier, canary_enabled, created_by)
             VALUES ('{uuid}', '{owner}', 'a key', '{{}}', '{tier}', {canary}, 'test')"
        ))
        .await;
        if !more.is_empty() {
            self.execute(&format!("UPDATE external_api_keys SET {more} WHERE key_id = '{uuid}'")).await;
        }
        id
    }

    /// What a gateway counted for a key in a clock hour.
    pub(crate) async fn usage(&self, key: KeyId, hour: DateTime<Utc>, admitted: i64, refused: i64) {
        self.execute(&format!(
            "INSERT INTO external_api_usage (key_id, hour, admitted, refused)
             VALUES ('{}', date_trunc('hour', '{}'::timestamptz, 'UTC'), {admitted}, {refused})",
            key.uuid(),
            hour.to_rfc3339()
        ))
        .await;
    }

    /// An active subscription of `owner` to everything.
    pub(crate) async fn subscription(&self, owner: &str) -> SubscriptionId {
        let id: SubscriptionId = self.clock.fresh_id();
        self.execute(&format!(
            "INSERT INTO partners (owner_id, name) VALUES ('{owner}', '{owner}') ON CONFLICT DO NOTHING;
             INSERT INTO external_webhooks (webhook_id, owner_id, url, events)
             VALUES ('{}', '{owner}', 'https://example.org/', '{{*}}')",
            id.uuid()
        ))
        .await;
        id
    }

    /// A rotation whose overlap is on and of which everything is known.
    pub(crate) async fn rotation(&self, webhook: SubscriptionId) {
        self.execute(&format!(
            "INSERT INTO external_webhook_rotations
             VALUES ('{}', onering.uuid_v7(), now(), now() + interval '1 hour', 5, 2, 1, now(), now(), now())",
            webhook.uuid()
        ))
        .await;
    }

    /// Accepts an event for `owner` as the product does; its one delivery then becomes what `change` sets.
    pub(crate) async fn delivery(&self, owner: &str, event_type: &str, change: &str) {
        let publish = "SELECT onering.publish_event($1, $2, '{\"ring\": 1}')::text";
        let event: String = self.sql.query_one(publish, &[&owner, &event_type]).await.unwrap().get(0);
        if !change.is_empty() {
            self.execute(&format!("UPDATE webhook_deliveries SET {change} WHERE event_id = '{event}'")).await;
        }
    }

    /// A delivery in each state it can be in, to a new subscription of `owner`.
    pub(crate) async fn one_of_each(&self, owner: &str) -> SubscriptionId {
        let webhook = self.subscription(owner).await;
        let done = "queued_until = NULL, settled_at = now(), attempt_count = 1";
        for (event_type, change) in [
            ("a.pending", String::new()),
            ("a.held", "queued_until = NULL, held_reason = 'DELIVERY_OFF'".to_owned()),
            (
                "a.retrying",
                "status = 'RETRYING', attempt_count = 1, next_attempt_at = queued_until, last_status_code = 503, \
                 last_error = 'answered 503'"
                    .to_owned(),
            ),
            (
                "a.delivered",
                format!(
                    "{done}, status = 'DELIVERED', delivered_at = now(), delivery_latency_ms = 42, last_status_code = 200"
                ),
            ),
            ("a.dead", format!("{done}, status = 'DEAD', last_status_code = 400, last_error = 'answered 400'")),
            ("a.expired", format!("{done}, status = 'REPLAY_EXPIRED'")),
            ("a.cancelled", format!("{done}, status = 'CANCELLED'")),
        ] {
            self.delivery(owner, event_type, &change).await;
        }
        webhook
    }
}
