//! What can be typed. Every option that names a secret can come from the environment instead, so that no secret needs to
//! stand on a command line; in the folder of a dev stack both can be left out (`.run/dev.env` has them).

mod access;
mod bench;
mod drill;
mod operations;
mod stack;
mod tools;

use clap::{Parser, Subcommand};

pub(crate) use access::{DatabaseAccess, OperatorAccess};
pub(crate) use bench::{
    BacklogBench, Bench, BenchBare, BreakerBench, GrowthBench, HostileBench, IsolationBench, Scenario, SeedBench,
    SpecialBench, TableBench,
};
pub(crate) use drill::{Drill, DrillFault};
pub(crate) use operations::{
    Audit, Keys, KeysAction, Migrate, Replay, ReplayAction, Smoke, StartReplay, Tail, Webhooks, WebhooksAction,
};
pub(crate) use stack::{FrontDoor, SampleProduct, Status, Supervise, Up};
pub(crate) use tools::{Sign, Sink, Verify};

/// The OneRing partner platform: dev stack, operations and tools.
#[derive(Parser)]
#[command(name = "onering", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the dev stack on 127.0.0.1, migrate, make an admin key and run the smoke test
    Up(Up),
    /// Stop the dev stack; its data stays in .run/
    Down,
    /// Show the processes of the dev stack; exit 1 unless all are ready
    Status(Status),
    /// Keep a stack running (started by `up` and `bench`)
    #[command(hide = true)]
    Supervise(Supervise),
    /// Bring the database schema up to date
    Migrate(Migrate),
    /// Check a deployment end to end: health, key, limits, subscription, verified delivery; exit 1 on any failure
    Smoke(Smoke),
    /// Receive webhooks, verify them and list what arrived
    Sink(Sink),
    /// Make, list, rotate, disable and revoke partner keys
    Keys(Keys),
    /// Subscriptions of any partner
    Webhooks(Webhooks),
    /// Send the deliveries of a range of time again
    Replay(Replay),
    /// Print the signature headers of a body
    Sign(Sign),
    /// Check the signature headers of a body; exit 1 unless it is genuine and fresh
    Verify(Verify),
    /// Show deliveries as they settle
    Tail(Tail),
    /// Prove from Postgres that nothing accepted is missing; exit 1 if the ledger does not balance
    Audit(Audit),
    /// Route paths to the services, as an Ingress does in production (part of the dev stack)
    #[command(hide = true)]
    FrontDoor(FrontDoor),
    /// A small product to put behind the gateway's route table (part of the dev stack)
    #[command(hide = true)]
    SampleProduct(SampleProduct),
    /// Measure this build beside references taken in the same run
    Bench(Bench),
    /// The least an HTTP server does: a reference (part of `bench`)
    #[command(hide = true)]
    BenchBare(BenchBare),
    /// Break something of a running platform and see that nothing is lost; exit 1 if something is
    Drill(Drill),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_shows_no_value_of_a_secret() {
        for subcommand in Arguments::command().get_subcommands() {
            for argument in subcommand.get_arguments() {
                let secret = ["admin-key", "secret", "database-url", "redis-url"]
                    .contains(&argument.get_long().unwrap_or_default());
                assert!(!secret || argument.get_env().is_none(), "{} {argument}", subcommand.get_name());
            }
        }
    }
}
