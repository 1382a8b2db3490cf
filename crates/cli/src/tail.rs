//! `onering tail`: deliveries as they change, newest last, until interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::api::{Api, query};
use crate::args::Tail;
use crate::output;

/// How often the platform is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many deliveries are asked for each time; the most there are on one page.
const PAGE: &str = "200";
/// When more than a page came since the last look, at most so many pages are read; what is beyond is said to be left out.
const PAGES: usize = 25;
/// How many of the deliveries that were shown waiting, and are beyond the newest page, are asked for at each look.
const ASKED_FOR: usize = 20;
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
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let parameters =
        [("limit", Some(PAGE)), ("owner_id", options.owner.as_deref()), ("status", options.status.as_deref())];
    let path = query("/v1/admin/external/deliveries", &parameters);
    let mut seen = Seen::default();
    // That the platform cannot be reached at all is an error; later it may be starting anew.
    let mut look = Ok(first_look(&api, &path).await?);
    let mut skip = !options.once;
    let mut in_trouble = false;
    loop {
        match look {
            Ok(deliveries) => {
                let changed = seen.changed(deliveries);
                let skipped = if skip { changed.len().saturating_sub(SHOWN_FIRST) } else { 0 };
                changed.iter().skip(skipped).for_each(|delivery| print_delivery(delivery, options.json));
                (skip, in_trouble) = (false, false);
            }
            Err(_) if in_trouble => {}
            Err(error) => {
                eprintln!("onering: {error:#}; trying again");
                in_trouble = true;
            }
        }
        if options.once || output::is_closed() {
            return Ok(ExitCode::SUCCESS);
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
        look = next_look(&api, &path, &mut seen).await;
    }
}

async fn first_look(api: &Api, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut deliveries = Page::read(api, path, None).await?.items;
    deliveries.reverse();
    Ok(deliveries)
}

/// Everything newer than what was seen, newest last, after some of those that were seen waiting.
async fn next_look(api: &Api, path: &str, seen: &mut Seen) -> anyhow::Result<Vec<Value>> {
    let mut page = Page::read(api, path, None).await?;
    let mut deliveries = std::mem::take(&mut page.items);
    for _ in 1..PAGES {
        let Some(cursor) = &page.next else { break };
        if seen.is_empty() || deliveries.last().is_none_or(|oldest| seen.knows(oldest)) {
            break;
        }
        page = Page::read(api, path, Some(cursor)).await?;
        deliveries.append(&mut page.items);
    }
    if page.next.is_some() && !seen.is_empty() && deliveries.last().is_some_and(|oldest| !seen.knows(oldest)) {
        eprintln!("onering: more deliveries came than can be shown; some are left out");
    }
    for id in seen.waiting_beyond(&deliveries) {
        deliveries.push(api.get(&format!("/v1/admin/external/deliveries/{id}")).await?);
    }
    deliveries.reverse();
    Ok(deliveries)
}

/// A page of the list, newest first.
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

impl Page {
    async fn read(api: &Api, path: &str, cursor: Option<&str>) -> anyhow::Result<Self> {
        // The path has a query already, and a cursor only characters that stand for themselves in one.
        let mut page = match cursor {
            None => api.get(path).await?,
            Some(cursor) => api.get(&format!("{path}&cursor={cursor}")).await?,
        };
        let items = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        Ok(Self { items, next: page["next_cursor"].as_str().map(str::to_owned) })
    }
}

/// What was shown, and in which state. By id, which sorts by time.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn knows(&self, delivery: &Value) -> bool {
        self.0.contains_key(&output::cell(delivery, "id"))
    }

    /// Those of the deliveries that are new or not as they were.
    fn changed(&mut self, deliveries: Vec<Value>) -> Vec<Value> {
        let state = |delivery: &Value| {
            ["status", "attempt_count", "held_reason"].map(|field| output::cell(delivery, field)).join(" ")
        };
        let is_new = |delivery: &Value| {
            let state = state(delivery);
            self.0.insert(output::cell(delivery, "id"), state.clone()) != Some(state)
        };
        let changed = deliveries.into_iter().filter(is_new).collect();
        while self.0.len() > REMEMBERED {
            self.0.pop_first();
        }
        changed
    }

    /// The newest of those that were last seen waiting and are not among these.
    fn waiting_beyond(&self, listed: &[Value]) -> Vec<String> {
        let listed: BTreeSet<String> = listed.iter().map(|delivery| output::cell(delivery, "id")).collect();
        let waits = |state: &str| state.starts_with("PENDING") || state.starts_with("RETRYING");
        let beyond = self.0.iter().rev().filter(|(id, state)| waits(state) && !listed.contains(*id));
        beyond.map(|(id, _)| id.clone()).take(ASKED_FOR).collect()
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

    #[test]
    fn what_was_seen_waiting_is_asked_for_until_it_is_settled() {
        let delivery = |number: u32, status: &str| json!({ "id": format!("dlv_{number:05}"), "status": status });
        let mut seen = Seen::default();
        seen.changed((0..30).map(|number| delivery(number, "RETRYING")).collect());
        seen.changed(vec![delivery(29, "DEAD")]);
        let asked = seen.waiting_beyond(&[delivery(28, "RETRYING")]);
        assert_eq!((asked.len(), asked[0].as_str()), (ASKED_FOR, "dlv_00027"));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut seen = Seen::default();
        let many = (0..REMEMBERED + 5).map(|number| json!({ "id": format!("dlv_{number:06}") }));
        seen.changed(many.collect());
        assert_eq!(seen.0.len(), REMEMBERED);
        assert!(!seen.knows(&json!({ "id": "dlv_000004" })) && seen.knows(&json!({ "id": "dlv_000005" })));
    }
}
