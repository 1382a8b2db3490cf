//! `onering audit --received`: the deliveries that are DELIVERED here against the list of the one who should have them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use onering_ids::{EventId, OwnerId, SubscriptionId};
use onering_store::AsyncPgConnection;
use onering_store::ledger::{Comparison, ReceivedList};
use onering_store::subscriptions::{self, SubscriptionFilter};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::received_ids;
use crate::output;

/// Ids sent to the database at once, and batches waiting for it.
const BATCH: usize = 5_000;
const BATCHES: usize = 2;
/// How many of each kind are named.
const NAMED: u32 = 1_000;

/// A list as it is read.
type Lines = Box<dyn BufRead + Send>;

/// A receiver's list as the command was given it.
pub(super) struct List<'a> {
    /// Where it is; `-` for standard input.
    pub(super) path: &'a Path,
    /// When it was taken, if that was said.
    pub(super) as_of: Option<DateTime<Utc>>,
    /// When this command was started.
    pub(super) begun: DateTime<Utc>,
}

/// Compares and prints; success only when nothing of the range that was DELIVERED when the list was taken is missing from it.
pub(super) async fn run(
    connection: &mut AsyncPgConnection,
    list: List<'_>,
    (owner, webhook_id): (&OwnerId, SubscriptionId),
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let (lines, changed) = open(list.path)?;
    let as_of = list.as_of.or(changed).unwrap_or(list.begun);
    let mut received = ReceivedList::open(connection).await?;
    let (batches, mut waiting) = mpsc::channel(BATCHES);
    let reading = tokio::task::spawn_blocking(move || read(lines, &batches));
    while let Some(batch) = waiting.recv().await {
        received.add(&batch).await?;
    }
    reading.await.context("reading the list ended badly")??;
    let found = received.compare(owner, webhook_id, from, to, as_of, NAMED).await?;
    if as_json {
        let mut document = document(&found);
        document["owner_id"] = json!(owner);
        document["webhook_id"] = json!(webhook_id);
        document["from"] = json!(from);
        document["to"] = json!(to);
        document["as_of"] = json!(as_of);
        output::json(&document);
    } else {
        lines_of(as_of, &found).iter().for_each(|line| output::line(line));
    }
    Ok(if found.not_received == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The subscription whose receiver wrote the list: the one named, or the only one of its owner.
pub(super) async fn subscription(
    connection: &mut AsyncPgConnection,
    webhook_id: Option<SubscriptionId>,
    owner: Option<&OwnerId>,
) -> anyhow::Result<(OwnerId, SubscriptionId)> {
    if let Some(webhook_id) = webhook_id {
        let found = subscriptions::get_any_owner(connection, webhook_id).await?;
        let found = found.filter(|found| owner.is_none_or(|owner| found.owner_id == *owner));
        let found =
            found.with_context(|| format!("there is no subscription {webhook_id}, or it is another partner's"))?;
        return Ok((found.owner_id, webhook_id));
    }
    let owner = owner.context("whose list is it? Give --webhook, or --owner when it has one subscription only")?;
    let filter = SubscriptionFilter { owner_id: Some(owner.clone()), status: None };
    let mut found = subscriptions::list_any_owner(connection, &filter, None, 2).await?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok((only.owner_id, only.webhook_id)),
        (None, _) => anyhow::bail!("{owner} has no subscription"),
        (Some(_), false) => anyhow::bail!("{owner} has several subscriptions: say with --webhook whose list it is"),
    }
}

/// Reads the list on a thread of its own and hands it over in batches; a database that is slower holds it up.
fn read(list: Lines, batches: &mpsc::Sender<Vec<EventId>>) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let hand_over = |batch: &mut Vec<EventId>| {
        let full = std::mem::replace(batch, Vec::with_capacity(BATCH));
        batches.blocking_send(full).context("the database has stopped taking the list")
    };
    received_ids::read(list, &mut |event| {
        batch.push(event);
        if batch.len() == BATCH { hand_over(&mut batch) } else { Ok(()) }
    })?;
    hand_over(&mut batch)
}

/// The list, and when it was last changed, which only a file knows: what comes through a pipe is as old as this command.
fn open(path: &Path) -> anyhow::Result<(Lines, Option<DateTime<Utc>>)> {
    let opened = || {
        let file = match path == Path::new("-") {
            true => File::from(std::io::stdin().as_fd().try_clone_to_owned()?),
            false => File::open(path)?,
        };
        let metadata = file.metadata()?;
        let changed = if metadata.is_file() { Some(metadata.modified()?.into()) } else { None };
        std::io::Result::Ok((Box::new(BufReader::new(file)) as Lines, changed))
    };
    opened().with_context(|| format!("{} cannot be read", path.display()))
}

/// What was found, for machines.
fn document(found: &Comparison) -> Value {
    let not_received: Vec<Value> = found
        .first_not_received
        .iter()
        .map(
            |one| json!({ "delivery_id": one.delivery_id, "event_id": one.event_id, "delivered_at": one.delivered_at }),
        )
        .collect();
    json!({
        "delivered": found.delivered, "listed": found.listed, "complete": found.not_received == 0,
        "not_received": found.not_received, "first_not_received": not_received,
        "unknown": found.unknown, "first_unknown": found.first_unknown,
        "not_acknowledged": found.not_acknowledged,
    })
}

fn lines_of(as_of: DateTime<Utc>, found: &Comparison) -> Vec<String> {
    let more = |all: u64, named: usize| {
        let left = all.saturating_sub(u64::try_from(named).unwrap_or(u64::MAX));
        (left > 0).then(|| format!("  … and {left} more"))
    };
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut lines = vec![
        format!("{:<18} {:>8}  in the range, by the platform, before {}", "delivered", found.delivered, time(as_of)),
        format!("{:<18} {:>8}  different events", "on the list", found.listed),
        format!("{:<18} {:>8}  on the list, and not DELIVERED here", "not acknowledged", found.not_acknowledged),
        format!("{:<18} {:>8}  on the list, and no delivery of this subscription", "unknown here", found.unknown),
    ];
    lines.extend(found.first_unknown.iter().map(|event| format!("  {event}")));
    lines.extend(more(found.unknown, found.first_unknown.len()));
    lines.push(format!("{:<18} {:>8}  of those, and not on the list", "not received", found.not_received));
    let one = |one: &onering_store::ledger::Undelivered| {
        format!("  {} of event {}, answered 2xx at {}", one.delivery_id, one.event_id, time(one.delivered_at))
    };
    lines.extend(found.first_not_received.iter().map(one));
    lines.extend(more(found.not_received, found.first_not_received.len()));
    lines.push(match found.not_received {
        0 => "The receiver has everything ✅".to_owned(),
        missing => format!("The receiver does not have everything ❌ missing {missing}"),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_about_what_the_receiver_lacks() {
        let lines = |found: &Comparison| lines_of("2026-11-22T10:00:00Z".parse().unwrap(), found);
        let last = |found: &Comparison| lines(found).pop().unwrap();
        let strange = Comparison { unknown: 3, first_unknown: vec![EventId::floor(7)], ..Comparison::default() };
        assert_eq!(last(&strange), "The receiver has everything ✅");
        assert!(lines(&strange).contains(&"  … and 2 more".to_owned()));
        let lacking = Comparison { delivered: 2, not_received: 2, ..Comparison::default() };
        assert_eq!(last(&lacking), "The receiver does not have everything ❌ missing 2");
    }
}
