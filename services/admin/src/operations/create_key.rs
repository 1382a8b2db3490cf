use chrono::{DateTime, Utc};
use ipnet::IpNet;
use onering_ids::{KeyId, OwnerId};
use onering_keys::{ApiToken, ScopeSet, Tier};
use onering_rate_limit::Limit;
use onering_store::api_keys::{self, ApiKey, NewKey, NewSecret};
use onering_webhook_operations::{AuditStamp, OperationError};
use serde_json::Value;

use crate::operations::key_audit::{KeyStates, key_changed};
use crate::state::AdminState;

/// A key to make, as it is to be.
pub(crate) struct KeyPlan {
    pub(crate) owner_id: OwnerId,
    pub(crate) name: String,
    pub(crate) scopes: ScopeSet,
    pub(crate) tier: Tier,
    pub(crate) rate_limit_override: Option<Limit>,
    pub(crate) burst_per_second: Option<u64>,
    pub(crate) canary: bool,
    pub(crate) ip_allowlist: Vec<IpNet>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) metadata: Value,
}

/// Makes a key, and its partner if that is new. Nobody needs to be told: no gateway has seen its token yet.
pub(crate) async fn create_key(
    state: &AdminState,
    stamp: &AuditStamp,
    plan: KeyPlan,
) -> Result<(ApiKey, ApiToken), OperationError> {
    let (token, secret) = new_secret(state);
    let key_id: KeyId = state.clock.fresh_id();
    let new = NewKey {
        key_id,
        owner_id: plan.owner_id,
        name: plan.name,
        scopes: plan.scopes,
        tier: plan.tier,
        rate_limit_override: plan.rate_limit_override,
        burst_per_second: plan.burst_per_second,
        canary: plan.canary,
        ip_allowlist: plan.ip_allowlist,
        expires_at: plan.expires_at,
        metadata: plan.metadata,
        created_by: stamp.actor.clone(),
    };
    let key = state
        .change(stamp, async |connection| {
            let key = api_keys::create(connection, &new, &secret).await?;
            let states = KeyStates { before: None, after: Some(&key) };
            let audited = key_changed(state, "key.create", key_id, states)?;
            Ok((key, audited))
        })
        .await?;
    Ok((key, token))
}

/// A token, and what is stored in its stead.
pub(super) fn new_secret(state: &AdminState) -> (ApiToken, NewSecret) {
    let token = ApiToken::from_entropy(state.clock.entropy32());
    let secret = NewSecret { secret_id: state.clock.fresh_id(), digest: token.digest(), hint: token.hint().to_owned() };
    (token, secret)
}
