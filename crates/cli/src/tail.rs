//! `onering tail`: deliveries as they change, newest last, until interrupted.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::api::{Api, query};
use crate::args::Tail;
use crate::output;

/// How often the platform is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many deliveries are asked for each time; the most there are on one page.
const PAGE: &str = "200";
/// How many deliveries of the past are shown before what happens from now on.
const SHOWN_FIRST: usize = 10;
/// How many deliveries are remembered to tell a change from what was shown already.
const REMEMBERED: usize = 10_000;
/// What is printed of a delivery, where there is something.
const FIELDS: [&str; 9] = [
    "id",
    "event_type",
    "owner_id",
    "event_id",
    "status",
    "attempt_count",
    "last_status_code",
    "held_reason",
    "last_error",
];

/// Prints deliveries until interrupted, or once.
pub(crate) async fn run(options: Tail) -> anyhow::Result<ExitCode> {
    let api = options.access.api()?;
    let parameters =
        [("limit", Some(PAGE)), ("owner_id", options.owner.as_deref()), ("status", options.status.as_deref())];
    let path = query("/v1/admin/external/deliveries", &parameters);
    let mut seen = Seen::default();
    // That the platform cannot be reached at all is an error; later it may be starting anew.
    let mut page = Ok(newest_last(&api, &path).await?);
    let mut first = !options.once;
    let mut in_trouble = false;
    loop {
        match page {
            Ok(deliveries) => {
                let changed = seen.changed(deliveries);
                let skipped = if first { changed.len().saturating_sub(SHOWN_FIRST) } else { 0 };
                changed.iter().skip(skipped).for_each(|delivery| print_delivery(delivery, options.json));
                (first, in_trouble) = (false, false);
            }
            Err(_) if in_trouble => {}
            Err(error) => {
                eprintln!("onering: {error:#}; trying again");
                in_trouble = true;
            }
        }
        if options.once {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
        page = newest_last(&api, &path).await;
    }
}

async fn newest_last(api: &Api, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut page = api.get(path).await?;
    let mut deliveries = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    deliveries.reverse();
    Ok(deliveries)
}

/// What was shown, and in which state.
#[derive(Default)]
struct Seen(HashMap<String, String>);

impl Seen {
    /// Those of the deliveries that are new or not as they were.
    fn changed(&mut self, deliveries: Vec<Value>) -> Vec<Value> {
        if self.0.len() > REMEMBERED {
            let listed: Vec<String> = deliveries.iter().map(|delivery| output::cell(delivery, "id")).collect();
            self.0.retain(|id, _| listed.contains(id));
        }
        let state = |delivery: &Value| {
            ["status", "attempt_count", "held_reason"].map(|field| output::cell(delivery, field)).join(" ")
        };
        let is_new = |delivery: &Value| {
            let state = state(delivery);
            self.0.insert(output::cell(delivery, "id"), state.clone()) != Some(state)
        };
        deliveries.into_iter().filter(is_new).collect()
    }
}

fn print_delivery(delivery: &Value, as_json: bool) {
    if as_json {
        return output::line(&delivery.to_string());
    }
    let cells = FIELDS.iter().map(|field| output::cell(delivery, field)).filter(|cell| !cell.is_empty());
    output::line(&cells.collect::<Vec<_>>().join("  "));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delivery_is_shown_again_when_it_changes() {
        let mut seen = Seen::default();
        let delivery = |status: &str| vec![json!({ "id": "dlv_1", "status": status, "attempt_count": 1 })];
        assert_eq!(seen.changed(delivery("RETRYING")).len(), 1);
        assert_eq!(seen.changed(delivery("RETRYING")).len(), 0);
        assert_eq!(seen.changed(delivery("DELIVERED")).len(), 1);
    }
}
