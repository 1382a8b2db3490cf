//! `onering sink`: a receiver that does what a receiver should. It verifies signature and stamp, recognises repeats, and
//! lists what arrived, so that tests and people can see whether a delivery is right.

mod arrivals;
mod server;

use std::process::ExitCode;

use crate::args::Sink;

pub(crate) use server::RunningSink;

pub(crate) async fn run(options: Sink) -> anyhow::Result<ExitCode> {
    let sink = RunningSink::start(&options)?;
    if !options.quiet {
        println!("listening on {} (POST /webhook, GET /deliveries, DELETE /deliveries)", sink.url());
    }
    tokio::select! {
        () = sink.ended() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitCode::SUCCESS)
}
