//! What can be typed. Every option that names a secret can come from the environment instead, so that no secret needs to
//! stand on a command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The OneRing partner platform: dev stack, operations and tools.
#[derive(Debug, Parser)]
#[command(name = "onering", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the dev stack on 127.0.0.1, migrate, make an admin key and run the smoke test
    Up(Up),
    /// Stop the dev stack; its data stays in .run/
    Down,
    /// Show the processes of the dev stack
    Status(Status),
    /// Keep the dev stack running (started by `up`)
    #[command(hide = true)]
    Supervise,
    /// Bring the database schema up to date
    Migrate(Migrate),
    /// Check a deployment end to end: health, key, limits, subscription, verified delivery
    Smoke(Smoke),
    /// Receive webhooks, verify them and list what arrived
    Sink(Sink),
    /// Make, list, rotate, disable and revoke partner keys
    Keys(Keys),
    /// Subscriptions of any partner
    Webhooks(Webhooks),
    /// Print the signature headers of a body
    Sign(Sign),
    /// Check the signature headers of a body
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
}

#[derive(Debug, Args)]
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

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print JSON: {"processes":[{"name","url","pid","ready"}]}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// Where the platform answers
    #[arg(long, env = "ONERING_BASE_URL")]
    pub(crate) backend_url: url::Url,
    /// An admin key
    #[arg(long, env = "ONERING_ADMIN_KEY", hide_env_values = true)]
    pub(crate) admin_key: String,
    /// A running `onering sink` to deliver to; without it one is started for the test
    #[arg(long)]
    pub(crate) webhook_sink: Option<url::Url>,
    /// Stop at the first failure
    #[arg(long)]
    pub(crate) bail: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct Sink {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8099)]
    pub(crate) port: u16,
    /// The subscription's secret (whsec_…); without it arrivals are recorded as unverified
    #[arg(long, env = "ONERING_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// Answer this status instead of 200 …
    #[arg(long)]
    pub(crate) fail: Option<u16>,
    /// … to this many requests (all, when left out)
    #[arg(long, requires = "fail")]
    pub(crate) times: Option<u64>,
    /// Wait this long before every answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub(crate) delay: u64,
    /// Refuse stamps older than this many seconds
    #[arg(long, env = "ONERING_WEBHOOKS_REPLAY_WINDOW_SECONDS", default_value_t = 300)]
    pub(crate) replay_window: u32,
    /// Print nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How to reach a running platform as its operator.
#[derive(Debug, Args, Clone)]
pub(crate) struct OperatorAccess {
    /// Where the platform answers
    #[arg(long, env = "ONERING_BASE_URL", default_value = "http://127.0.0.1:8000")]
    pub(crate) backend_url: url::Url,
    /// An admin key
    #[arg(long, env = "ONERING_ADMIN_KEY", hide_env_values = true)]
    pub(crate) admin_key: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Make a key; the token is printed once
    Create {
        /// The partner
        #[arg(long, default_value = "default")]
        owner: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
        /// free, pro or enterprise
        #[arg(long)]
        tier: Option<String>,
        /// Scopes, comma-separated; all partner scopes when left out
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<String>>,
        /// Make it a canary key
        #[arg(long)]
        canary: bool,
        /// Days until it expires
        #[arg(long)]
        expires_in_days: Option<u32>,
    },
    /// List keys
    List {
        /// Of this partner only
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show one key
    Show { key_id: String },
    /// Refuse a key until it is enabled again
    Disable { key_id: String },
    /// Accept a disabled key again
    Enable { key_id: String },
    /// Make a new secret; the old one works until the grace ends
    Rotate {
        key_id: String,
        /// How long the old secret still works
        #[arg(long, default_value_t = 86_400)]
        grace_seconds: u32,
    },
    /// End a key for good
    Revoke { key_id: String },
    /// Remove a key
    Delete { key_id: String },
}

#[derive(Debug, Args)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    #[command(subcommand)]
    pub(crate) action: WebhooksAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksAction {
    /// Subscribe a partner; the secret is printed once
    Create {
        /// The partner
        #[arg(long, default_value = "default")]
        owner: String,
        /// Where deliveries are POSTed
        #[arg(long)]
        url: String,
        /// Event types, comma-separated: ring.forged, ring.* or *
        #[arg(long, value_delimiter = ',', default_value = "*")]
        events: Vec<String>,
    },
    /// List subscriptions
    List {
        /// Of this partner only
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show one subscription
    Show { webhook_id: String },
    /// Hold its deliveries until it is enabled again
    Disable { webhook_id: String },
    /// Send again, starting with what was held
    Enable { webhook_id: String },
    /// Send it a webhook.test event now and print the attempt
    Test { webhook_id: String },
    /// Remove a subscription; its waiting deliveries are cancelled
    Delete { webhook_id: String },
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The subscription's secret (whsec_…)
    #[arg(long, env = "ONERING_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: String,
    /// The event's id (evt_…)
    #[arg(long)]
    pub(crate) event_id: String,
    /// Unix seconds; now when left out
    #[arg(long)]
    pub(crate) timestamp: Option<i64>,
    /// File with the raw body; standard input when left out
    #[arg(long)]
    pub(crate) body: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The subscription's secret (whsec_…)
    #[arg(long, env = "ONERING_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: String,
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

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Of this partner only
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// In this status only
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Show what there is and stop
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// Start of the range (RFC 3339); 24 hours ago when left out
    #[arg(long)]
    pub(crate) from: Option<chrono::DateTime<chrono::Utc>>,
    /// End of the range (RFC 3339); now when left out
    #[arg(long)]
    pub(crate) to: Option<chrono::DateTime<chrono::Utc>>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
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

#[derive(Debug, Args)]
pub(crate) struct SampleProduct {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8090)]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// How often each measurement is repeated; medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) repeat: u16,
    /// Seconds of load in each measurement
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) seconds: u16,
    /// Concurrent connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Also write the figures as JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}
