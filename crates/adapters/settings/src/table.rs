//! The one table of variables. A row's doc comment is its text in `docs/configuration.md`.

use onering_delivery::{BreakerPolicy, RetrySchedule};

use crate::variable::Concern::{
    Alerts, CommandLine, Gateway, Http, Process, Secrets, Stores, Switches, Telemetry, Webhooks,
};
use crate::variable::DefaultValue::{Computed, PerService, Required, Unset, Value};
use crate::variable::Kind::{
    Choice, Cidrs, DaysList, Decimal, HttpUrl, Path, Percent, SecondsList, Secret, Signed, SocketAddress, Switch, Text,
    Whole,
};
use crate::variable::Service::{Admin, ApiGateway, Cli, DeliveryWorker, Monitoring};
use crate::variable::{Service, Variable};

const ALL: &[Service] = &[ApiGateway, Admin, Monitoring, DeliveryWorker, Cli];
const SERVICES: &[Service] = &[ApiGateway, Admin, Monitoring, DeliveryWorker];
const WITH_WEBHOOKS: &[Service] = &[ApiGateway, Admin, DeliveryWorker];

/// Makes a constant for each row and the list of all of them.
macro_rules! variables {
    ($($concern:ident {
        $($(#[doc = $doc:literal])+ $row:ident = $name:literal, $kind:expr, $default:expr, $used_by:expr;)+
    })+) => {
        $($(
            $(#[doc = $doc])+
            pub(crate) const $row: Variable = Variable {
                name: $name,
                concern: $concern,
                kind: $kind,
                default: $default,
                used_by: $used_by,
                doc: concat!($($doc),+),
            };
        )+)+

        /// Every variable the platform reads, grouped by concern.
        pub const VARIABLES: &[Variable] = &[$($($row),+),+];
    };
}

variables! {
    Process {
        /// `production` refuses what only a development stack may do: plain `http` targets, opened private networks,
        /// open monitoring, a moved clock, and a database connection without TLS.
        PROFILE = "ONERING_PROFILE", Choice(&["production", "dev"]), Value("production"), ALL;
        /// The name of this process among its replicas: in its first log line, in traces, in flag receipts and in the
        /// consumer group. Must be unique.
        INSTANCE = "ONERING_INSTANCE", Text, Computed("service, host name and process number"), SERVICES;
        /// How long requests in flight may take to finish after SIGTERM before the process ends all the same.
        SHUTDOWN_SECONDS = "ONERING_SHUTDOWN_SECONDS",
            Whole { min: 1, max: 300, unit: "seconds" }, Value("25"), SERVICES;
        /// Moves this process' wall clock, for fault drills. Refused in production.
        CLOCK_SKEW_SECONDS = "ONERING_CLOCK_SKEW_SECONDS",
            Signed { min: -86_400, max: 86_400, unit: "seconds" }, Value("0"), SERVICES;
        /// A TOML file with any of these variables by name (`onering_bind = "0.0.0.0:8001"`). The environment wins over
        /// it.
        CONFIG_FILE = "ONERING_CONFIG_FILE", Path, Unset, ALL;
    }
    Http {
        /// Where to listen.
        BIND = "ONERING_BIND", SocketAddress, PerService(&[
            (ApiGateway, "127.0.0.1:8001"), (Admin, "127.0.0.1:8002"),
            (Monitoring, "127.0.0.1:8003"), (DeliveryWorker, "127.0.0.1:8004"),
        ]), SERVICES;
        /// Threads that answer requests. The worker listens only for health and metrics and needs one.
        HTTP_WORKERS = "ONERING_HTTP_WORKERS",
            Whole { min: 1, max: 256, unit: "threads" },
            Computed("one a processor core; `1` in delivery-worker"), SERVICES;
        /// Proxies whose `X-Forwarded-For` is believed: the client is the right-most hop that is not one of them.
        TRUSTED_PROXIES = "ONERING_TRUSTED_PROXIES", Cidrs, Value(""), SERVICES;
        /// The largest request body. More is refused with 413 before it is read.
        BODY_CAP_BYTES = "ONERING_BODY_CAP_BYTES",
            Whole { min: 1_024, max: 16_777_216, unit: "bytes" }, Value("262144"), SERVICES;
    }
    Stores {
        /// Where Postgres is. Production wants `sslmode=require`, `verify-ca` or `verify-full` in it, or a Unix socket;
        /// `sslrootcert` names the file of trusted roots.
        DATABASE_URL = "DATABASE_URL", Secret("`postgres://user:password@host:5432/database`"), Required, ALL;
        /// Connections to Postgres in the pool of this process. A gateway opens two more for each of its HTTP workers.
        DATABASE_POOL_SIZE = "ONERING_DATABASE_POOL_SIZE",
            Whole { min: 2, max: 512, unit: "connections" },
            PerService(&[(ApiGateway, "16"), (Admin, "8"), (Monitoring, "8"), (DeliveryWorker, "16"), (Cli, "4")]), ALL;
        /// Where Redis is; `rediss://` for TLS.
        REDIS_URL = "REDIS_URL", Secret("`redis://:password@host:6379/0`"), Required, ALL;
    }
    Switches {
        /// Directory with one file a switch (a mounted ConfigMap). A file beats the environment, and changes apply
        /// within 1 s.
        FLAGS_DIR = "ONERING_FLAGS_DIR", Path, Unset, ALL;
        /// Off: `/v1/external/*` answers 503.
        EXTERNAL_API_ENABLED = "ONERING_EXTERNAL_API_ENABLED", Switch, Value("0"), SERVICES;
        /// On: only canary keys are let in.
        EXTERNAL_API_CANARY_ONLY = "ONERING_EXTERNAL_API_CANARY_ONLY", Switch, Value("0"), SERVICES;
        /// Off: events and subscription management answer 503.
        WEBHOOKS_ENABLED = "ONERING_WEBHOOKS_ENABLED", Switch, Value("0"), SERVICES;
        /// Off: nothing is sent. Events keep queueing and go out when it is on again.
        WEBHOOKS_DELIVERY_ENABLED = "ONERING_WEBHOOKS_DELIVERY_ENABLED", Switch, Value("0"), SERVICES;
        /// The share of partners the external API is open to. Sticky: a partner stays in as the share grows.
        EXTERNAL_API_COHORT_PERCENT = "ONERING_EXTERNAL_API_COHORT_PERCENT", Percent, Value("100"), SERVICES;
        /// The share of partners deliveries are sent to; the others' are held, not dropped.
        WEBHOOKS_COHORT_PERCENT = "ONERING_WEBHOOKS_COHORT_PERCENT", Percent, Value("100"), SERVICES;
        /// Mixed into the cohort hash: another salt draws other partners.
        COHORT_SALT = "ONERING_COHORT_SALT", Text, Value("onering"), SERVICES;
    }
    Gateway {
        /// What holds while Redis is down or slower than 100 ms: `local` (each replica enforces the whole limit by
        /// itself), `open` (no limit) or `closed` (503).
        RATELIMIT_ON_REDIS_LOSS = "ONERING_RATELIMIT_ON_REDIS_LOSS",
            Choice(&["local", "open", "closed"]), Value("local"), &[ApiGateway];
        /// The route table (TOML) of what is forwarded to the product. Read again when it changes.
        ROUTES_FILE = "ONERING_ROUTES_FILE", Path, Unset, &[ApiGateway];
    }
    Secrets {
        /// Keys that seal webhook secrets, each `id:base64 of 32 bytes`: the first seals, all open.
        SECRETS_KEYS = "ONERING_SECRETS_KEYS",
            Secret("`kid:base64,…`"), Required, WITH_WEBHOOKS;
        /// Lets operators in with a JWT signed with this secret (HS256). Unset: operators use admin keys only.
        ADMIN_JWT_SECRET = "ONERING_ADMIN_JWT_SECRET", Secret("at least 32 bytes"), Unset, &[Admin, Monitoring];
        /// On: `/v1/monitoring` answers without authentication. Refused in production.
        MONITORING_OPEN = "ONERING_MONITORING_OPEN", Switch, Value("0"), &[Monitoring];
    }
    Webhooks {
        /// Attempts in all before a delivery is DEAD.
        WEBHOOKS_MAX_ATTEMPTS = "ONERING_WEBHOOKS_MAX_ATTEMPTS",
            Whole { min: 1, max: RetrySchedule::MOST_ATTEMPTS as u64, unit: "attempts" }, Value("3"), WITH_WEBHOOKS;
        /// Entry n is the wait after failed attempt n (plus up to 10 % jitter, never less); the last entry repeats.
        WEBHOOKS_BACKOFF_SECONDS = "ONERING_WEBHOOKS_BACKOFF_SECONDS",
            SecondsList {
                max_entries: RetrySchedule::MOST_ENTRIES, max_seconds: RetrySchedule::LONGEST_ENTRY.as_secs(),
            },
            Value("60,300,900"), WITH_WEBHOOKS;
        /// How old a stamp receivers accept. Each attempt is stamped anew, so retries do not run into it.
        WEBHOOKS_REPLAY_WINDOW_SECONDS = "ONERING_WEBHOOKS_REPLAY_WINDOW_SECONDS",
            Whole { min: 1, max: 86_400, unit: "seconds" }, Value("300"), &[ApiGateway, Admin, DeliveryWorker, Cli];
        /// How long a delivery belongs to the worker that took it. Shorter recovers sooner from a crash, longer renews
        /// less.
        WEBHOOKS_LEASE_SECONDS = "ONERING_WEBHOOKS_LEASE_SECONDS",
            Whole { min: 2, max: 3_600, unit: "seconds" }, Value("30"), WITH_WEBHOOKS;
        /// Deliveries one worker sends at the same time.
        WEBHOOKS_MAX_IN_FLIGHT = "ONERING_WEBHOOKS_MAX_IN_FLIGHT",
            Whole { min: 1, max: 65_536, unit: "deliveries" }, Value("1024"), WITH_WEBHOOKS;
        /// Bodies one worker holds in memory at the same time, from the stream and from the sweep half each. What does not
        /// fit stays where it is until there is room.
        WORKER_BODY_BYTES = "ONERING_WORKER_BODY_BYTES",
            Whole { min: 1_048_576, max: 8_589_934_590, unit: "bytes" }, Value("67108864"), &[DeliveryWorker];
        /// After so many failures in a row a subscription's circuit opens: nothing is sent to it for a while, and what waits
        /// is held and spends no attempt.
        BREAKER_FAILURES = "ONERING_BREAKER_FAILURES",
            Whole { min: 1, max: BreakerPolicy::MOST_FAILURES, unit: "failures" }, Value("5"), &[DeliveryWorker];
        /// For how long it opens at first. Then a single delivery is sent; if it fails as well, it opens for twice as long.
        BREAKER_OPEN_SECONDS = "ONERING_BREAKER_OPEN_SECONDS",
            Whole { min: 1, max: BreakerPolicy::LONGEST_PAUSE.as_secs(), unit: "seconds" }, Value("60"), &[DeliveryWorker];
        /// For how long it opens at most.
        BREAKER_OPEN_MAX_SECONDS = "ONERING_BREAKER_OPEN_MAX_SECONDS",
            Whole { min: 1, max: BreakerPolicy::LONGEST_PAUSE.as_secs(), unit: "seconds" }, Value("900"), &[DeliveryWorker];
        /// On: `http://` targets are taken. Refused in production.
        WEBHOOKS_ALLOW_HTTP = "ONERING_WEBHOOKS_ALLOW_HTTP", Switch, Value("0"), WITH_WEBHOOKS;
        /// Private networks that targets may be in, such as `127.0.0.0/8`. Refused in production.
        WEBHOOKS_ALLOW_CIDRS = "ONERING_WEBHOOKS_ALLOW_CIDRS", Cidrs, Value(""), WITH_WEBHOOKS;
        /// After how many days of failing without a success a subscription's partner is warned (event `webhook.failing`).
        WEBHOOKS_FAILING_WARN_DAYS = "ONERING_WEBHOOKS_FAILING_WARN_DAYS",
            DaysList { max_entries: 10, max_days: 364 }, Value("1,3"), &[DeliveryWorker];
        /// After how many such days it is disabled (event `webhook.disabled`). What it misses is held.
        WEBHOOKS_FAILING_DISABLE_DAYS = "ONERING_WEBHOOKS_FAILING_DISABLE_DAYS",
            Whole { min: 1, max: 365, unit: "days" }, Value("5"), &[DeliveryWorker];
        /// How long events, deliveries, attempts, statistics and usage are kept. Whole days are dropped. The audit log stays.
        RETENTION_DAYS = "ONERING_RETENTION_DAYS",
            Whole { min: 1, max: 3_650, unit: "days" }, Value("30"), &[DeliveryWorker];
    }
    Alerts {
        /// Dead deliveries in 24 h above which an alert fires.
        ALERT_DEAD_LETTER_24H = "ONERING_ALERT_DEAD_LETTER_24H",
            Whole { min: 0, max: 1_000_000_000, unit: "deliveries" }, Value("10"), &[Monitoring];
        /// Failed authentications in 24 h above which an alert fires.
        ALERT_AUTH_FAILURES_24H = "ONERING_ALERT_AUTH_FAILURES_24H",
            Whole { min: 0, max: 1_000_000_000, unit: "requests" }, Value("50"), &[Monitoring];
        /// Rate-limited requests in 24 h above which an alert fires.
        ALERT_RATE_LIMIT_HITS_24H = "ONERING_ALERT_RATE_LIMIT_HITS_24H",
            Whole { min: 0, max: 1_000_000_000, unit: "requests" }, Value("100"), &[Monitoring];
        /// Deliveries refused as replays in 24 h above which an alert fires.
        ALERT_REPLAY_REJECTED_24H = "ONERING_ALERT_REPLAY_REJECTED_24H",
            Whole { min: 0, max: 1_000_000_000, unit: "deliveries" }, Value("20"), &[Monitoring];
        /// Delivery latency at the 90th percentile above which an alert fires.
        ALERT_LATENCY_P90_SECONDS = "ONERING_ALERT_LATENCY_P90_SECONDS",
            Decimal { min: 0.0, max: 86_400.0, unit: "seconds" }, Value("5.0"), &[Monitoring];
        /// Subscriptions failing so long that their partners were warned, above which an alert fires.
        ALERT_SUBSCRIPTIONS_FAILING = "ONERING_ALERT_SUBSCRIPTIONS_FAILING",
            Whole { min: 0, max: 1_000_000_000, unit: "subscriptions" }, Value("0"), &[Monitoring];
        /// Subscriptions the platform disabled in 24 h above which an alert fires.
        ALERT_SUBSCRIPTIONS_DISABLED_24H = "ONERING_ALERT_SUBSCRIPTIONS_DISABLED_24H",
            Whole { min: 0, max: 1_000_000_000, unit: "subscriptions" }, Value("0"), &[Monitoring];
    }
    Telemetry {
        /// What is logged: a level, or directives by module (`info,onering_queue=debug`).
        LOG = "ONERING_LOG", Text, Value("info"), SERVICES;
        /// `json` for machines, `text` for people.
        LOG_FORMAT = "ONERING_LOG_FORMAT", Choice(&["json", "text"]), Value("json"), SERVICES;
        /// Base URL of an OpenTelemetry collector (OTLP over HTTP). Unset: no traces are exported.
        OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", HttpUrl, Unset, SERVICES;
    }
    CommandLine {
        /// Where the platform answers, for the `onering` command; not set, it means the stack that runs in its folder.
        BASE_URL = "ONERING_BASE_URL", HttpUrl, Unset, &[Cli];
        /// The admin key that the `onering` command calls with; not set, that of the stack in its folder.
        ADMIN_KEY = "ONERING_ADMIN_KEY", Secret("admin key (`oak_…`)"), Unset, &[Cli];
        /// The subscription's secret, for `onering sink`, `sign` and `verify`; `sink` and `verify` take public keys (`whpk_…`) as well,
        /// and several with commas between.
        WEBHOOK_SECRET = "ONERING_WEBHOOK_SECRET", Secret("signing secret (`whsec_…`)"), Unset, &[Cli];
        /// Where the front door of `onering up` listens on 127.0.0.1.
        FRONT_DOOR_PORT = "ONERING_FRONT_DOOR_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8000"), &[Cli];
        /// Port of the first api-gateway of `onering up`.
        GATEWAY_PORT = "ONERING_GATEWAY_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8001"), &[Cli];
        /// Port of the first admin of `onering up`.
        ADMIN_PORT = "ONERING_ADMIN_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8002"), &[Cli];
        /// Port of the first monitoring of `onering up`.
        MONITORING_PORT = "ONERING_MONITORING_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8003"), &[Cli];
        /// Port of the first delivery-worker of `onering up`; further replicas take the next free ones.
        WORKER_PORT = "ONERING_WORKER_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8004"), &[Cli];
        /// Port of the sample product of `onering up`.
        PRODUCT_PORT = "ONERING_PRODUCT_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8090"), &[Cli];
        /// Port of the Postgres that `onering up` runs where `DATABASE_URL` is not set.
        POSTGRES_PORT = "ONERING_POSTGRES_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8432"), &[Cli];
        /// Port of the Redis that `onering up` runs where `REDIS_URL` is not set.
        REDIS_PORT = "ONERING_REDIS_PORT",
            Whole { min: 1, max: 65_535, unit: "port" }, Value("8379"), &[Cli];
    }
}

/// The row of that name.
pub(crate) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}
