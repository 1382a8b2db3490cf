//! `onering drill`: one fault against a platform that runs, under a modest load of its own, with a verdict from what the
//! platform says of every delivery and from what arrived.
//!
//! A drill has a partner, a key, a subscription and a receiver of its own and looks at nothing else. However it ends, short
//! of being killed, the fault is undone and key and subscription are removed; the partner stays, with the record of its
//! deliveries. What it cannot do to the platform it is given, it says before it begins.

mod means;
mod rehearsal;
mod standstill;
mod verdict;

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};

use self::means::Means;
use self::rehearsal::Rehearsal;
use crate::args::Drill;
use crate::output;

/// Goes through one drill; success when nothing was lost, and nothing of the drill is left.
pub(crate) async fn run(options: Drill) -> anyhow::Result<ExitCode> {
    let (backend, admin_key) = options.access.resolve()?;
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let mut means = Means::find(&options, &backend)?;
    // Not to be interrupted: what was asked for is made, whether its answer was waited for or not.
    let rehearsal = Rehearsal::prepare(&options, &backend, &admin_key).await?;
    let went = stop.run_until_cancelled(rehearsal.go(&options, &mut means)).await;
    let undone = [means.undo().await, rehearsal.clean_up().await];
    for error in undone.iter().filter_map(|undone| undone.as_ref().err()) {
        eprintln!("onering: the drill could not clean up after itself: {error:#}");
    }
    let figures = went.unwrap_or_else(|| Err(anyhow!("interrupted")))?;
    if options.json {
        output::json(&figures.document());
    } else {
        figures.print();
    }
    let is_clean = undone.iter().all(Result::is_ok);
    Ok(if is_clean && figures.reds().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells whoever waits what is going on; what is printed at the end is for machines too.
fn progress(text: &str) {
    eprintln!("{text}");
}
