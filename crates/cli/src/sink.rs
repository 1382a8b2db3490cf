//! `onering sink`: a receiver that does what a receiver should. It verifies signature and stamp, recognises repeats, and
//! lists what arrived, so that tests and people can see whether a delivery is right.

mod arrivals;
mod server;

use std::process::ExitCode;

use anyhow::Context as _;
use onering_settings::load_cli;

use crate::args::Sink;
use crate::output;

pub(crate) use arrivals::Arrival;
pub(crate) use server::RunningSink;

/// Receives until it is stopped (Ctrl-C or SIGTERM).
pub(crate) async fn run(options: Sink) -> anyhow::Result<ExitCode> {
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let settings = load_cli()?;
    let options = Sink {
        secret: options.secret.or_else(|| settings.webhook_secret.map(|secret| secret.expose().to_owned())),
        replay_window: options.replay_window.or(u32::try_from(settings.replay_window.as_secs()).ok()),
        ..options
    };
    let sink = RunningSink::start(&options)?;
    if !options.quiet {
        output::line(&format!("listening on {} (POST /webhook, GET /deliveries, DELETE /deliveries)", sink.url()));
        if options.secret.is_none() {
            output::line("no secret was given (--secret or ONERING_WEBHOOK_SECRET): signatures are not checked");
        }
    }
    tokio::select! {
        ended = sink.ended() => ended?,
        () = stop.cancelled() => {}
    }
    Ok(ExitCode::SUCCESS)
}
