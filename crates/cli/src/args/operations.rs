//! Commands that talk to a running platform or its database.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use onering_ids::{KeyId, OwnerId, ReplayId, SubscriptionId};

use super::{DatabaseAccess, OperatorAccess};

#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
}

#[derive(Args)]
pub(crate) struct Smoke {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
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

#[derive(Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Subcommand)]
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
    Show {
        /// key_…
        key_id: KeyId,
    },
    /// Refuse a key until it is enabled again
    Disable {
        /// key_…
        key_id: KeyId,
    },
    /// Accept a disabled key again
    Enable {
        /// key_…
        key_id: KeyId,
    },
    /// Make a new secret; the old one works until the grace ends
    Rotate {
        /// key_…
        key_id: KeyId,
        /// How long the old secret still works
        #[arg(long, default_value_t = 86_400)]
        grace_seconds: u32,
    },
    /// End a key for good
    Revoke {
        /// key_…
        key_id: KeyId,
    },
    /// Remove a key
    Delete {
        /// key_…
        key_id: KeyId,
    },
}

#[derive(Args)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: WebhooksAction,
}

#[derive(Subcommand)]
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
    Show {
        /// wh_…
        webhook_id: SubscriptionId,
    },
    /// Hold its deliveries until it is enabled again
    Disable {
        /// wh_…
        webhook_id: SubscriptionId,
    },
    /// Send again, starting with what was held
    Enable {
        /// wh_…
        webhook_id: SubscriptionId,
    },
    /// Send it a webhook.test event now and print the attempt
    Test {
        /// wh_…
        webhook_id: SubscriptionId,
    },
    /// Remove a subscription; its waiting deliveries are cancelled
    Delete {
        /// wh_…
        webhook_id: SubscriptionId,
    },
}

#[derive(Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: ReplayAction,
}

#[derive(Subcommand)]
pub(crate) enum ReplayAction {
    /// Send deliveries again, or count them
    Start(StartReplay),
    /// Show one replay and how far it is
    Status {
        /// rpl_…
        replay_id: ReplayId,
        /// Show its progress until it is over; exit 1 unless it is done, also when interrupted
        #[arg(long)]
        watch: bool,
    },
    /// List replays, newest first
    List {
        /// In this state only, as RUNNING
        #[arg(long)]
        state: Option<String>,
    },
    /// Stop a running replay; what it made is delivered
    Cancel {
        /// rpl_…
        replay_id: ReplayId,
    },
}

#[derive(Args)]
pub(crate) struct StartReplay {
    /// Start of the range (RFC 3339), by the time the deliveries were made
    #[arg(long)]
    pub(crate) from: chrono::DateTime<chrono::Utc>,
    /// End of the range (RFC 3339); now when left out
    #[arg(long)]
    pub(crate) to: Option<chrono::DateTime<chrono::Utc>>,
    /// Final statuses, comma-separated; DEAD,REPLAY_EXPIRED when left out
    #[arg(long, value_delimiter = ',')]
    pub(crate) status: Option<Vec<String>>,
    /// Of this subscription only (wh_…)
    #[arg(long)]
    pub(crate) webhook: Option<SubscriptionId>,
    /// Of this event type only
    #[arg(long)]
    pub(crate) event_type: Option<String>,
    /// Of this partner only
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Deliveries a second, at most; 100 when left out
    #[arg(long)]
    pub(crate) rate: Option<u32>,
    /// Count what there is to send again, and send nothing
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Show its progress until it is over; exit 1 unless it is done, also when interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) access: OperatorAccess,
    /// Of this partner only
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// In this status only, as DELIVERED
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Show what there is and stop
    #[arg(long)]
    pub(crate) once: bool,
    /// Print JSON, one delivery a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
    /// Start of the range (RFC 3339); 24 hours before its end when left out
    #[arg(long)]
    pub(crate) from: Option<chrono::DateTime<chrono::Utc>>,
    /// End of the range (RFC 3339); now when left out
    #[arg(long)]
    pub(crate) to: Option<chrono::DateTime<chrono::Utc>>,
    /// Of this partner only
    #[arg(long)]
    pub(crate) owner: Option<OwnerId>,
    /// Compare with what the receiver has got: a file of event ids (webhook-id), one a line, or what the sink's
    /// GET /deliveries answers; - for standard input. Exit 1 when an event that had been delivered is not in it
    #[arg(long, value_name = "FILE")]
    pub(crate) received: Option<PathBuf>,
    /// When that list was taken (RFC 3339): what was delivered later is not asked for. A file's last change when left out, and
    /// for what comes through a pipe the start of this command
    #[arg(long, requires = "received")]
    pub(crate) as_of: Option<chrono::DateTime<chrono::Utc>>,
    /// Whose receiver it is; not needed when --owner has one subscription only
    #[arg(long, requires = "received")]
    pub(crate) webhook: Option<SubscriptionId>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
