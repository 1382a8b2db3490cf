//! `onering webhooks`: subscriptions of any partner, over the admin API.

use std::process::ExitCode;

use serde_json::json;

use crate::api::query;
use crate::args::{Webhooks, WebhooksAction};
use crate::output::{self, Layout};

const WEBHOOKS: &str = "/v1/admin/external/webhooks";
const COLUMNS: [&str; 5] = ["id", "owner_id", "url", "events", "status"];
const LAYOUT: Layout = Layout { first: &["id", "secret", "owner_id", "url", "events", "status"], aliases: &[] };

/// Does one thing to subscriptions and prints the answer.
pub(crate) async fn run(options: Webhooks) -> anyhow::Result<ExitCode> {
    let api = options.access.api()?;
    let answer = match options.action {
        WebhooksAction::List { owner } => {
            let subscriptions = api.get_all(&query(WEBHOOKS, &[("owner_id", owner.as_deref())])).await?;
            output::list(&subscriptions, &COLUMNS, options.json);
            return Ok(ExitCode::SUCCESS);
        }
        WebhooksAction::Delete { webhook_id } => {
            api.delete(&format!("{WEBHOOKS}/{webhook_id}")).await?;
            output::line(&format!("deleted {webhook_id}"));
            return Ok(ExitCode::SUCCESS);
        }
        WebhooksAction::Create { owner, url, events } => {
            api.post(WEBHOOKS, &json!({ "owner_id": owner, "url": url, "events": events })).await?
        }
        WebhooksAction::Show { webhook_id } => api.get(&format!("{WEBHOOKS}/{webhook_id}")).await?,
        WebhooksAction::Disable { webhook_id } => {
            api.patch(&format!("{WEBHOOKS}/{webhook_id}/disable"), &json!({})).await?
        }
        WebhooksAction::Enable { webhook_id } => {
            api.patch(&format!("{WEBHOOKS}/{webhook_id}/enable"), &json!({})).await?
        }
        WebhooksAction::Test { webhook_id } => api.post(&format!("{WEBHOOKS}/{webhook_id}/test"), &json!({})).await?,
    };
    output::object(&answer, &LAYOUT, options.json);
    Ok(ExitCode::SUCCESS)
}
