//! Commands that need no platform: a receiver, and signatures by hand.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Clone)]
pub(crate) struct Sink {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8099)]
    pub(crate) port: u16,
    /// The subscription's secret (whsec_…) or public key (whpk_…), or several with commas between, which other users of this machine can see here: ONERING_WEBHOOK_SECRET is better.
    /// Without either, arrivals are taken and recorded as unverified
    #[arg(long)]
    pub(crate) secret: Option<String>,
    /// Answer this status instead of 200 …
    #[arg(long, value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) fail: Option<u16>,
    /// … to this many requests (all, when left out)
    #[arg(long, requires = "fail")]
    pub(crate) times: Option<u64>,
    /// Wait this long before every answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub(crate) delay: u64,
    /// Refuse stamps older than this many seconds; ONERING_WEBHOOKS_REPLAY_WINDOW_SECONDS, or 300, when left out
    #[arg(long)]
    pub(crate) replay_window: Option<u32>,
    /// Print nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Sink {
    /// A receiver for a test of this command's own: on any free port, without a secret, silent.
    pub(crate) const fn for_a_test() -> Self {
        Self { port: 0, secret: None, fail: None, times: None, delay: 0, replay_window: None, quiet: true }
    }
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The subscription's secret (whsec_…) or a key pair (whsk_…), which other users of this machine can see here: ONERING_WEBHOOK_SECRET is better
    #[arg(long)]
    pub(crate) secret: Option<String>,
    /// The event's id (evt_…)
    #[arg(long)]
    pub(crate) event_id: String,
    /// Unix seconds; now when left out
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) timestamp: Option<i64>,
    /// File with the raw body; standard input when left out
    #[arg(long)]
    pub(crate) body: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The subscription's secret (whsec_…) or public key (whpk_…), or several with commas between, which other users of this machine can see here: ONERING_WEBHOOK_SECRET is better
    #[arg(long)]
    pub(crate) secret: Option<String>,
    /// A received header, `Name: value`; give all signature headers
    #[arg(long = "header", required = true)]
    pub(crate) headers: Vec<String>,
    /// File with the raw body; standard input when left out
    #[arg(long)]
    pub(crate) body: Option<PathBuf>,
    /// Refuse stamps older than this many seconds; 0 accepts any age
    #[arg(long, default_value_t = 300)]
    pub(crate) replay_window: u32,
}
