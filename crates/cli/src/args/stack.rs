//! Commands about a stack of processes on this machine.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(crate) struct Up {
    /// How many api-gateway processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) gateways: u16,
    /// How many delivery-worker processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) workers: u16,
    /// How many admin processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) admins: u16,
    /// How many monitoring processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) monitorings: u16,
    /// Leave the smoke test out
    #[arg(long)]
    pub(crate) no_smoke: bool,
}

#[derive(Args)]
pub(crate) struct Status {
    /// Print JSON: {"processes":[{"name","url","pid","ready"}]}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Supervise {
    /// The stack's folder, with the file that says what to run
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// A stack for one use: it ends, and its folder is removed, when standard input closes
    #[arg(long)]
    pub(crate) passing: bool,
}

#[derive(Args)]
pub(crate) struct FrontDoor {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Base addresses of the gateways
    #[arg(long = "gateway", required = true)]
    pub(crate) gateways: Vec<url::Url>,
    /// Base addresses of the admin services
    #[arg(long = "admin", required = true)]
    pub(crate) admins: Vec<url::Url>,
    /// Base addresses of the monitoring services
    #[arg(long = "monitoring", required = true)]
    pub(crate) monitorings: Vec<url::Url>,
}

#[derive(Args)]
pub(crate) struct SampleProduct {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8090)]
    pub(crate) port: u16,
}
