//! `onering`: the command line of the partner platform. It starts the dev stack, talks to the running services as their
//! users do (over HTTP, with their keys), signs and verifies webhooks, and asks the ledger whether anything is missing.
//!
//! Exit codes: 0 done, 1 the answer is no (a check failed, the ledger does not balance, a signature is wrong) or the
//! command could not be carried out, 2 the command line was not understood.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command line is for")]

mod api;
mod args;
mod audit;
mod bench;
mod drill;
mod front_door;
mod keys;
mod made;
mod migrate;
mod output;
mod replay;
mod sample_product;
mod signatures;
mod sink;
mod smoke;
mod stack;
mod tail;
mod webhooks;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

#[tokio::main]
async fn main() -> ExitCode {
    // Refused only when one is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    match run(Arguments::parse()).await {
        Ok(code) => output::closing(code),
        Err(error) => {
            eprintln!("onering: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Up(options) => stack::up(options).await,
        Command::Down => stack::down().await,
        Command::Status(options) => stack::status(&options).await,
        Command::Supervise(options) => stack::supervise(options).await,
        Command::Migrate(options) => migrate::run(options).await,
        Command::Smoke(options) => smoke::run(options).await,
        Command::Sink(options) => sink::run(options).await,
        Command::Keys(options) => keys::run(options).await,
        Command::Webhooks(options) => webhooks::run(options).await,
        Command::Replay(options) => replay::run(options).await,
        Command::Sign(options) => signatures::sign(&options),
        Command::Verify(options) => signatures::verify(&options),
        Command::Tail(options) => tail::run(options).await,
        Command::Audit(options) => audit::run(options).await,
        Command::FrontDoor(options) => front_door::run(options).await,
        Command::SampleProduct(options) => sample_product::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::BenchBare(options) => bench::serve_bare(options).await,
        Command::Drill(options) => drill::run(options).await,
    }
}
