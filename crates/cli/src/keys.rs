//! `onering keys`: the life of a partner key, over the admin API.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::Api;
use crate::args::{Keys, KeysAction};
use crate::output;

const KEYS: &str = "/v1/admin/external/keys";

pub(crate) async fn run(options: Keys) -> anyhow::Result<ExitCode> {
    let api = Api::new(&options.access.backend_url, &options.access.admin_key)?;
    let as_json = options.access.json;
    match options.action {
        KeysAction::List { owner } => {
            let query = owner.map(|owner| format!("&owner_id={owner}")).unwrap_or_default();
            let page = api.get(&format!("{KEYS}?limit=200{query}")).await?;
            print_list(&page, as_json);
        }
        KeysAction::Create { owner, name, tier, scopes, canary, expires_in_days } => {
            let mut body = json!({ "owner_id": owner, "canary_enabled": canary });
            set(&mut body, "name", name);
            set(&mut body, "tier", tier);
            set(&mut body, "scopes", scopes);
            set(&mut body, "expires_in_days", expires_in_days);
            print_one(&api.post(KEYS, &body).await?, as_json);
        }
        KeysAction::Show { key_id } => print_one(&api.get(&format!("{KEYS}/{key_id}")).await?, as_json),
        KeysAction::Disable { key_id } => print_one(&api.patch(&format!("{KEYS}/{key_id}/disable"), &json!({})).await?, as_json),
        KeysAction::Enable { key_id } => print_one(&api.patch(&format!("{KEYS}/{key_id}/enable"), &json!({})).await?, as_json),
        KeysAction::Rotate { key_id, grace_seconds } => {
            let body = json!({ "grace_seconds": grace_seconds });
            print_one(&api.post(&format!("{KEYS}/{key_id}/rotate"), &body).await?, as_json);
        }
        KeysAction::Revoke { key_id } => print_one(&api.post(&format!("{KEYS}/{key_id}/revoke"), &json!({})).await?, as_json),
        KeysAction::Delete { key_id } => {
            api.delete(&format!("{KEYS}/{key_id}")).await?;
            println!("deleted {key_id}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets a field of a JSON object when there is a value for it.
pub(crate) fn set(body: &mut Value, field: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        body[field] = json!(value);
    }
}

fn print_list(page: &Value, as_json: bool) {
    if as_json {
        return output::json(page);
    }
    let columns = ["key_id", "owner_id", "name", "rate_limit_tier", "canary_enabled", "is_active", "expires_at"];
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| output::cell(item, column)).collect()).collect();
    output::table(&columns, &rows);
}

/// Prints one object: every field on a line of its own, or as JSON.
pub(crate) fn print_one(object: &Value, as_json: bool) {
    if as_json {
        return output::json(object);
    }
    for (field, _) in object.as_object().into_iter().flatten() {
        println!("{field:<22} {}", output::cell(object, field));
    }
}
