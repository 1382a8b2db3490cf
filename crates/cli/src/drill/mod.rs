//! `onering drill`: one fault against a platform that runs, under a modest load of its own, with a verdict from what the
//! platform says of every delivery and from what arrived.
//!
//! A drill has a partner, a key, a subscription and a receiver of its own and looks at nothing else; afterwards they are
//! gone. What it cannot do to the platform it is given, it says before it begins.

mod means;
mod rehearsal;
mod verdict;

use std::process::ExitCode;

use self::means::Means;
use self::rehearsal::Rehearsal;
use crate::args::Drill;
use crate::output;

/// Goes through one drill; success when nothing was lost.
pub(crate) async fn run(options: Drill) -> anyhow::Result<ExitCode> {
    let (backend, admin_key) = options.access.resolve()?;
    let mut means = Means::find(&options, &backend)?;
    let mut rehearsal = Rehearsal::prepare(&options, &backend, &admin_key).await?;
    let went = rehearsal.go(&options, &mut means).await;
    if let Err(error) = rehearsal.clean_up().await {
        eprintln!("the drill could not clean up after itself: {error:#}");
    }
    let figures = went?;
    if options.json {
        output::json(&figures.document());
    } else {
        figures.print();
    }
    Ok(if figures.reds().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells whoever waits what is going on; what is printed at the end is for machines too.
fn progress(text: &str) {
    eprintln!("{text}");
}
