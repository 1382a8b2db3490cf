//! `onering smoke`: five phases from health to a verified delivery, against a running platform, leaving nothing behind.

mod phases;

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use self::phases::{Phase, Run};
use crate::args::{Sink, Smoke};
use crate::output;
use crate::sink::RunningSink;

/// How one phase went; the error says why not.
struct Verdict {
    name: &'static str,
    result: Result<(), String>,
}

/// Goes through the phases and prints a line for each; success when all passed.
pub(crate) async fn run(options: Smoke) -> anyhow::Result<ExitCode> {
    let (backend, admin_key) = options.access.resolve()?;
    // Held until the end: a sink of our own ends when it is dropped.
    let (_own_sink, sink) = match options.webhook_sink {
        Some(url) => (None, url),
        None => {
            let own = RunningSink::start(&Sink::for_a_test())?;
            let url = own.url().parse()?;
            (Some(own), url)
        }
    };
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let mut run = Run::new(backend, &admin_key, sink)?;
    let mut verdicts = Vec::new();
    for phase in Phase::ALL {
        let Some(result) = stop.run_until_cancelled(run.phase(phase)).await else { break };
        let verdict = Verdict { name: phase.name(), result: result.map_err(|error| format!("{error:#}")) };
        if !options.json {
            output::line(&verdict.line());
        }
        let failed = verdict.result.is_err();
        verdicts.push(verdict);
        if failed && options.bail {
            break;
        }
    }
    // Also after an interruption: the key that was made may do everything.
    let cleaned = run.clean_up().await;
    let passed = verdicts.iter().filter(|verdict| verdict.result.is_ok()).count();
    if options.json {
        output::json(&document(&verdicts, passed));
    } else {
        output::line(&total(passed, verdicts.len()));
    }
    cleaned.context("the smoke test could not clean up after itself")?;
    Ok(if passed == Phase::ALL.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Verdict {
    fn line(&self) -> String {
        match &self.result {
            Ok(()) => format!("✅ {}: PASSED", self.name),
            Err(error) => format!("❌ {}: FAILED ({error})", self.name),
        }
    }
}

/// The last line, after so many phases of which so many passed.
fn total(passed: usize, run: usize) -> String {
    let all = Phase::ALL.len();
    match (run - passed, all - run) {
        (0, 0) => format!("Total: {passed}/{all} PASSED ✅"),
        (failed, 0) => format!("Total: {passed}/{all} PASSED, {failed} FAILED ❌"),
        (failed, left_out) => format!("Total: {passed}/{all} PASSED, {failed} FAILED, {left_out} not run ❌"),
    }
}

fn document(verdicts: &[Verdict], passed: usize) -> Value {
    let phases: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            json!({ "name": verdict.name, "passed": verdict.result.is_ok(), "error": verdict.result.as_ref().err() })
        })
        .collect();
    json!({ "passed": passed, "total": Phase::ALL.len(), "phases": phases })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_documented() {
        let lines = Phase::ALL.map(|phase| Verdict { name: phase.name(), result: Ok(()) }.line());
        let expected = [
            "✅ Backend health: PASSED",
            "✅ API key creation: PASSED",
            "✅ Rate limit headers: PASSED",
            "✅ Webhook subscription: PASSED",
            "✅ Webhook delivery: PASSED",
        ];
        assert_eq!(lines, expected);
        assert_eq!(total(5, 5), "Total: 5/5 PASSED ✅");
        assert_eq!(total(4, 5), "Total: 4/5 PASSED, 1 FAILED ❌");
        assert_eq!(total(1, 2), "Total: 1/5 PASSED, 1 FAILED, 3 not run ❌");
    }
}
