//! `onering replay`: sends the deliveries of a range of time again, over the admin API, and watches how far that is.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chrono::SecondsFormat;
use onering_clock::Clock;
use onering_ids::ReplayId;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Api, query};
use crate::args::{Replay, ReplayAction, StartReplay};
use crate::output::{self, Layout};

const REPLAYS: &str = "/v1/admin/external/replays";
const COLUMNS: [&str; 8] = ["id", "state", "from", "to", "matched", "replayed", "left", "created_by"];
const LAYOUT: Layout = Layout {
    first: &["id", "state", "error", "from", "to", "status", "matched", "replayed", "skipped", "left"],
    aliases: &[],
};
/// How often a watched replay is asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Does one thing to replays and prints the answer.
pub(crate) async fn run(options: Replay) -> anyhow::Result<ExitCode> {
    let api = options.access.api()?;
    let as_json = options.json;
    let (replay, watched) = match options.action {
        ReplayAction::List { state } => {
            let replays = api.get_all(&query(REPLAYS, &[("state", state.as_deref())])).await?;
            output::list(&replays, &COLUMNS, as_json);
            return Ok(ExitCode::SUCCESS);
        }
        ReplayAction::Start(start) => (api.post(REPLAYS, &body(&start)?).await?, start.watch),
        ReplayAction::Status { replay_id, watch } => (api.get(&path(replay_id)).await?, watch),
        ReplayAction::Cancel { replay_id } => {
            (api.post(&format!("{}/cancel", path(replay_id)), &json!({})).await?, false)
        }
    };
    if watched {
        return watch(&api, replay, as_json).await;
    }
    output::object(&replay, &LAYOUT, as_json);
    Ok(ExitCode::SUCCESS)
}

fn path(replay_id: ReplayId) -> String {
    format!("{REPLAYS}/{replay_id}")
}

/// What is left out is left to the platform; only the end of the range is said: now.
fn body(start: &StartReplay) -> anyhow::Result<Value> {
    let to = start.to.unwrap_or_else(|| Clock::system().now());
    let mut body = Map::new();
    body.insert("from".to_owned(), json!(start.from.to_rfc3339_opts(SecondsFormat::Millis, true)));
    body.insert("to".to_owned(), json!(to.to_rfc3339_opts(SecondsFormat::Millis, true)));
    let further = [
        ("status", start.status.as_ref().map(serde_json::to_value).transpose()?),
        ("webhook_id", start.webhook.map(|id| json!(id))),
        ("event_type", start.event_type.as_ref().map(|event_type| json!(event_type))),
        ("owner_id", start.owner.as_ref().map(|owner| json!(owner))),
        ("rate_per_second", start.rate.map(|rate| json!(rate))),
        ("dry_run", start.dry_run.then_some(json!(true))),
    ];
    body.extend(further.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))));
    Ok(Value::Object(body))
}

/// Prints how far the replay is until it is over: exit 0 when it is done, 1 when it was cancelled or has failed, or when
/// nobody waits for its end.
async fn watch(api: &Api, mut replay: Value, as_json: bool) -> anyhow::Result<ExitCode> {
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let path = format!("{REPLAYS}/{}", output::cell(&replay, "id"));
    let mut in_trouble = false;
    let mut printed = String::new();
    loop {
        let line = if as_json { replay.to_string() } else { progress(&replay) };
        if line != printed {
            output::line(&line);
            printed = line;
        }
        match replay["state"].as_str() {
            Some("DONE") => return Ok(ExitCode::SUCCESS),
            Some("RUNNING") => {}
            _ => return Ok(ExitCode::FAILURE),
        }
        let next_look = async {
            tokio::time::sleep(INTERVAL).await;
            api.call(Method::GET, &path, None).await
        };
        let Some(answer) = stop.run_until_cancelled(next_look).await else {
            eprintln!("onering: the replay goes on without being watched");
            return Ok(ExitCode::FAILURE);
        };
        let look = match answer {
            Ok(answer) if is_final(answer.status) => return answer.success().map(|_| ExitCode::FAILURE),
            other => other.and_then(Answer::success),
        };
        match look {
            Ok(now) => (replay, in_trouble) = (now, false),
            Err(_) if in_trouble => {}
            Err(error) => {
                eprintln!("onering: {error:#}; trying again");
                in_trouble = true;
            }
        }
    }
}

/// Whether asking again changes nothing: the key is not taken any more, or the replay is not there.
const fn is_final(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 429)
}

/// `rpl_…  RUNNING  1200 of 5000 replayed, 3 skipped, 38 s left`
fn progress(replay: &Value) -> String {
    let cell = |field| output::cell(replay, field);
    let skipped: u64 =
        replay["skipped"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    let mut line = format!("{}  {}  {} of {} replayed", cell("id"), cell("state"), cell("replayed"), cell("matched"));
    if skipped > 0 {
        line.push_str(&format!(", {skipped} skipped"));
    }
    match (replay["seconds_left"].as_u64(), replay["error"].as_str()) {
        (Some(seconds), _) => line.push_str(&format!(", {seconds} s left")),
        (None, Some(error)) => line.push_str(&format!(": {error}")),
        (None, None) => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> StartReplay {
        StartReplay {
            from: "2026-11-22T10:00:00Z".parse().unwrap(),
            to: Some("2026-11-22T12:00:00+01:00".parse().unwrap()),
            status: None,
            webhook: None,
            event_type: None,
            owner: None,
            rate: None,
            dry_run: false,
            watch: false,
        }
    }

    #[test]
    fn what_is_left_out_is_left_to_the_platform() {
        let range = json!({ "from": "2026-11-22T10:00:00.000Z", "to": "2026-11-22T11:00:00.000Z" });
        assert_eq!(body(&start()).unwrap(), range);
        let all = StartReplay {
            status: Some(vec!["DEAD".to_owned()]),
            owner: Some("acme".to_owned()),
            rate: Some(50),
            dry_run: true,
            ..start()
        };
        let mut expected = range;
        for (field, value) in [
            ("status", json!(["DEAD"])),
            ("owner_id", json!("acme")),
            ("rate_per_second", json!(50)),
            ("dry_run", json!(true)),
        ] {
            expected[field] = value;
        }
        assert_eq!(body(&all).unwrap(), expected);
    }

    #[test]
    fn trouble_that_passes_is_no_end() {
        assert!([400, 401, 403, 404, 410, 422].into_iter().all(is_final));
        assert!(![200, 408, 429, 500, 502, 503].into_iter().any(is_final));
    }

    #[test]
    fn progress_is_one_line() {
        let replay = |state, seconds_left: Option<u64>, error: Option<&str>| {
            json!({ "id": "rpl_1", "state": state, "matched": 50, "replayed": 12, "skipped": { "event_gone": 1, "still_waiting": 2 },
                    "seconds_left": seconds_left, "error": error })
        };
        assert_eq!(
            progress(&replay("RUNNING", Some(4), None)),
            "rpl_1  RUNNING  12 of 50 replayed, 3 skipped, 4 s left"
        );
        assert_eq!(progress(&replay("FAILED", None, Some("why"))), "rpl_1  FAILED  12 of 50 replayed, 3 skipped: why");
        assert_eq!(progress(&replay("DONE", None, None)), "rpl_1  DONE  12 of 50 replayed, 3 skipped");
    }
}
