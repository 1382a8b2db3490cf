//! `onering keys`: the life of a partner key, over the admin API.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::query;
use crate::args::{Keys, KeysAction};
use crate::output::{self, Layout};

const KEYS: &str = "/v1/admin/external/keys";
const COLUMNS: [&str; 7] =
    ["key_id", "owner_id", "name", "rate_limit_tier", "canary_enabled", "is_active", "expires_at"];
const LAYOUT: Layout = Layout {
    first: &["key_id", "api_key", "owner_id", "name", "status", "rate_limit_tier", "rate_limit", "scopes"],
    aliases: &["secret", "full_key", "owner_user_id", "tier"],
};

/// Does one thing to keys and prints the answer.
pub(crate) async fn run(options: Keys) -> anyhow::Result<ExitCode> {
    let api = options.access.api()?;
    let key = match options.action {
        KeysAction::List { owner } => {
            let keys = api.get_all(&query(KEYS, &[("owner_id", owner.as_deref())])).await?;
            output::list(&keys, &COLUMNS, options.json);
            return Ok(ExitCode::SUCCESS);
        }
        KeysAction::Delete { key_id } => {
            api.delete(&format!("{KEYS}/{key_id}")).await?;
            output::line(&format!("deleted {key_id}"));
            return Ok(ExitCode::SUCCESS);
        }
        KeysAction::Create { owner, name, tier, scopes, canary, expires_in_days } => {
            let mut body = json!({ "owner_id": owner, "canary_enabled": canary });
            set(&mut body, "name", name);
            set(&mut body, "tier", tier);
            set(&mut body, "scopes", scopes);
            set(&mut body, "expires_in_days", expires_in_days);
            api.post(KEYS, &body).await?
        }
        KeysAction::Show { key_id } => api.get(&format!("{KEYS}/{key_id}")).await?,
        KeysAction::Disable { key_id } => api.patch(&format!("{KEYS}/{key_id}/disable"), &json!({})).await?,
        KeysAction::Enable { key_id } => api.patch(&format!("{KEYS}/{key_id}/enable"), &json!({})).await?,
        KeysAction::Rotate { key_id, grace_seconds } => {
            let body = json!({ "grace_seconds": grace_seconds });
            api.post(&format!("{KEYS}/{key_id}/rotate"), &body).await?
        }
        KeysAction::Revoke { key_id } => api.post(&format!("{KEYS}/{key_id}/revoke"), &json!({})).await?,
    };
    output::object(&key, &LAYOUT, options.json);
    Ok(ExitCode::SUCCESS)
}

/// Sets a field of a JSON object when there is a value for it.
fn set(body: &mut Value, field: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        body[field] = json!(value);
    }
}
