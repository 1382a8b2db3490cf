//! `onering webhooks`: subscriptions of any partner, over the admin API.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::Api;
use crate::args::{Webhooks, WebhooksAction};
use crate::keys::print_one;
use crate::output;

const WEBHOOKS: &str = "/v1/admin/external/webhooks";

pub(crate) async fn run(options: Webhooks) -> anyhow::Result<ExitCode> {
    let api = Api::new(&options.access.backend_url, &options.access.admin_key)?;
    let as_json = options.access.json;
    match options.action {
        WebhooksAction::Create { owner, url, events } => {
            let body = json!({ "owner_id": owner, "url": url, "events": events });
            print_one(&api.post(WEBHOOKS, &body).await?, as_json);
        }
        WebhooksAction::List { owner } => {
            let query = owner.map(|owner| format!("&owner_id={owner}")).unwrap_or_default();
            let page = api.get(&format!("{WEBHOOKS}?limit=200{query}")).await?;
            print_list(&page, as_json);
        }
        WebhooksAction::Show { webhook_id } => print_one(&api.get(&format!("{WEBHOOKS}/{webhook_id}")).await?, as_json),
        WebhooksAction::Disable { webhook_id } => {
            print_one(&api.patch(&format!("{WEBHOOKS}/{webhook_id}/disable"), &json!({})).await?, as_json);
        }
        WebhooksAction::Enable { webhook_id } => {
            print_one(&api.patch(&format!("{WEBHOOKS}/{webhook_id}/enable"), &json!({})).await?, as_json);
        }
        WebhooksAction::Test { webhook_id } => {
            print_one(&api.post(&format!("{WEBHOOKS}/{webhook_id}/test"), &json!({})).await?, as_json);
        }
        WebhooksAction::Delete { webhook_id } => {
            api.delete(&format!("{WEBHOOKS}/{webhook_id}")).await?;
            println!("deleted {webhook_id}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(page: &Value, as_json: bool) {
    if as_json {
        return output::json(page);
    }
    let columns = ["id", "owner_id", "url", "events", "status"];
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| output::cell(item, column)).collect()).collect();
    output::table(&columns, &rows);
}
