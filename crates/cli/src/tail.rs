//! `onering tail`: deliveries as they change, newest last, until interrupted.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;
use crate::args::Tail;
use crate::output;

/// How often the platform is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many deliveries are remembered to tell a change from what was shown already.
const REMEMBERED: usize = 10_000;

pub(crate) async fn run(options: Tail) -> anyhow::Result<ExitCode> {
    let api = Api::new(&options.access.backend_url, &options.access.admin_key)?;
    let mut query = "/v1/admin/external/deliveries?limit=200".to_owned();
    if let Some(owner) = &options.owner {
        query.push_str(&format!("&owner_id={owner}"));
    }
    if let Some(status) = &options.status {
        query.push_str(&format!("&status={status}"));
    }
    let mut shown: HashMap<String, String> = HashMap::new();
    loop {
        let page = api.get(&query).await?;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        for delivery in items.iter().rev() {
            let id = output::cell(delivery, "id");
            let state = format!("{} {}", output::cell(delivery, "status"), output::cell(delivery, "attempt_count"));
            if shown.insert(id, state.clone()).as_ref() != Some(&state) {
                print_delivery(delivery, options.access.json);
            }
        }
        if options.once {
            return Ok(ExitCode::SUCCESS);
        }
        if shown.len() > REMEMBERED {
            let newest: Vec<String> = items.iter().map(|item| output::cell(item, "id")).collect();
            shown.retain(|id, _| newest.contains(id));
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn print_delivery(delivery: &Value, as_json: bool) {
    if as_json {
        println!("{delivery}");
        return;
    }
    let fields = ["id", "event_type", "owner_id", "status", "attempt_count", "last_status_code", "held_reason", "last_error"];
    let cells: Vec<String> = fields.iter().map(|field| output::cell(delivery, field)).filter(|cell| !cell.is_empty()).collect();
    println!("{}", cells.join("  "));
}
