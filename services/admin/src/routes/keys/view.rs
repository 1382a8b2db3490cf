use chrono::{DateTime, Utc};
use onering_ids::{KeyId, OwnerId, SecretId};
use onering_keys::{ApiToken, CANARY_HOURLY_LIMIT, ScopeSet, Tier};
use onering_rate_limit::Limit;
use onering_store::api_keys::{ApiKey, KeySecret};
use onering_webhook_operations::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An API key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// Which one.
    #[schema(value_type = String, example = "key_01h455vb4pex5vsknk084sn02q")]
    key_id: KeyId,
    /// The partner it belongs to.
    #[schema(value_type = String, example = "acme")]
    owner_id: OwnerId,
    /// The same as `owner_id`.
    #[schema(value_type = String, example = "acme")]
    owner_user_id: OwnerId,
    /// For people.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// `free`, `pro` or `enterprise`.
    #[schema(value_type = String, example = "pro")]
    rate_limit_tier: Tier,
    /// The same as `rate_limit_tier`.
    #[schema(value_type = String, example = "pro")]
    tier: Tier,
    /// Calls an hour in place of its tier's.
    #[schema(value_type = Option<u64>)]
    rate_limit_override: Option<Limit>,
    /// Calls an hour that it really has.
    rate_limit: u64,
    /// Calls a second, at most.
    burst_per_second: Option<u64>,
    /// Whether it is a canary key.
    canary_enabled: bool,
    /// `active`, `disabled`, `blocked`, `expired` or `revoked`.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// False while an operator has disabled it.
    is_active: bool,
    /// Whether it stands on the blocklist.
    blocked: bool,
    /// Addresses it may be used from; empty: anywhere.
    ip_allowlist: Vec<String>,
    /// When it is refused; null: never.
    expires_at: Option<Timestamp>,
    /// When it was revoked, for good.
    revoked_at: Option<Timestamp>,
    /// The last admitted call, to within the gateways' reporting interval.
    last_used_at: Option<Timestamp>,
    /// When its newest secret was made by a rotation.
    rotated_at: Option<Timestamp>,
    /// The operator's own notes.
    #[schema(value_type = Object)]
    metadata: Value,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// Its secrets that work now: the current one, then the one in its grace. Never the secrets themselves.
    secrets: Vec<KeySecretView>,
}

/// What may be known of a secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeySecret)]
pub(crate) struct KeySecretView {
    /// Which one.
    #[schema(value_type = String, example = "sec_01h455vb4pex5vsknk084sn02q")]
    secret_id: SecretId,
    /// The token's first characters.
    #[schema(example = "osk_x7Gq")]
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
    /// End of its grace; null for the current one.
    expires_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

/// A key with its new token: the only answers that ever show it.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyWithToken)]
pub(crate) struct KeyWithTokenView<'a> {
    /// The key.
    #[serde(flatten)]
    key: KeyView,
    /// The token. It is shown this once.
    #[schema(example = "osk_…")]
    api_key: &'a str,
    /// The same as `api_key`.
    secret: &'a str,
    /// The same as `api_key`.
    full_key: &'a str,
    /// After a rotation: until when the old secret works.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_expires_at: Option<Timestamp>,
    /// After a rotation with a new id: the key that was replaced.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_key_id: Option<KeyId>,
}

impl KeyView {
    pub(crate) fn new(key: ApiKey, now: DateTime<Utc>) -> Self {
        Self {
            status: status(&key, now),
            rate_limit: rate_limit(&key),
            key_id: key.key_id,
            owner_user_id: key.owner_id.clone(),
            owner_id: key.owner_id,
            name: key.name,
            scopes: key.scopes,
            rate_limit_tier: key.tier,
            tier: key.tier,
            rate_limit_override: key.rate_limit_override,
            burst_per_second: key.burst_per_second,
            canary_enabled: key.canary,
            is_active: key.is_active,
            blocked: key.blocked,
            ip_allowlist: key.ip_allowlist.iter().map(ToString::to_string).collect(),
            expires_at: key.expires_at.map(Timestamp::from),
            revoked_at: key.revoked_at.map(Timestamp::from),
            last_used_at: key.last_used_at.map(Timestamp::from),
            rotated_at: key.rotated_at.map(Timestamp::from),
            metadata: key.metadata,
            created_by: key.created_by,
            created_at: key.created_at.into(),
            updated_at: key.updated_at.into(),
            secrets: key.secrets.into_iter().map(KeySecretView::from).collect(),
        }
    }

    /// The key as the audit log keeps it: not even the first characters of a token.
    pub(crate) fn audited(key: &ApiKey, now: DateTime<Utc>) -> Result<Value, serde_json::Error> {
        let mut view = Self::new(key.clone(), now);
        view.secrets.iter_mut().for_each(|secret| secret.hint.clear());
        serde_json::to_value(view)
    }
}

impl<'a> KeyWithTokenView<'a> {
    pub(super) fn made(key: KeyView, token: &'a ApiToken) -> Self {
        let token = token.expose();
        Self {
            key,
            api_key: token,
            secret: token,
            full_key: token,
            previous_secret_expires_at: None,
            previous_key_id: None,
        }
    }

    pub(super) fn rotated(key: KeyView, token: &'a ApiToken, old: KeyId, old_works_until: DateTime<Utc>) -> Self {
        let previous_key_id = (key.key_id != old).then_some(old);
        let previous_secret_expires_at = Some(old_works_until.into());
        Self { previous_secret_expires_at, previous_key_id, ..Self::made(key, token) }
    }
}

impl From<KeySecret> for KeySecretView {
    fn from(secret: KeySecret) -> Self {
        Self {
            secret_id: secret.secret_id,
            hint: secret.hint,
            expires_at: secret.expires_at.map(Timestamp::from),
            created_at: secret.created_at.into(),
        }
    }
}

/// In the order in which nothing can be done about it any more.
fn status(key: &ApiKey, now: DateTime<Utc>) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else if key.blocked {
        "blocked"
    } else if key.is_active {
        "active"
    } else {
        "disabled"
    }
}

fn rate_limit(key: &ApiKey) -> u64 {
    if key.canary {
        CANARY_HOURLY_LIMIT
    } else {
        key.rate_limit_override.map_or(key.tier.hourly_limit(), Limit::per_hour)
    }
}
