//! One settings struct a service. `from_values` is pure; the `load_…` functions read this process' own.

use std::path::PathBuf;
use std::time::Duration;

use onering_delivery::{BreakerPolicy, FailurePolicy, RetrySchedule};
use onering_metrics_model::Thresholds;
use url::Url;

use crate::concerns::{
    self, Database, Flags, Http, Limits, OperatorAccess, Process, Redis, Routes, StackPorts, Telemetry, Webhooks,
};
use crate::error::{SettingWarning, SettingsError};
use crate::reader::Reader;
use crate::secret::Secret;
use crate::table::{ADMIN_KEY, BASE_URL, FLAGS_DIR, WEBHOOK_SECRET};
use crate::values::Values;
use crate::variable::Service;

/// What every service has.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// Who this process is.
    pub process: Process,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// The listener.
    pub http: Http,
    /// Postgres.
    pub database: Database,
    /// Redis.
    pub redis: Redis,
    /// The switches.
    pub flags: Flags,
    /// Slips that stop nothing: log them once, after logging has started.
    pub warnings: Vec<SettingWarning>,
}

impl Common {
    /// What has been read of it; the warnings follow at the end.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let process = Process::read(reader);
        let telemetry = Telemetry::read(reader);
        let http = Http::read(reader);
        let database = Database::read(reader);
        let redis = Redis::read(reader);
        let flags = Flags::read(reader);
        Some(Self {
            process: process?,
            telemetry: telemetry?,
            http: http?,
            database: database?,
            redis: redis?,
            flags: flags?,
            warnings: reader.warnings(),
        })
    }
}

/// Settings of api-gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySettings {
    /// What every service has.
    pub common: Common,
    /// Rate limits.
    pub limits: Limits,
    /// Forwarding.
    pub routes: Routes,
    /// Events and deliveries.
    pub webhooks: Webhooks,
    /// The keys that seal webhook secrets, for the key ring.
    pub secrets_keys: Secret,
}

impl GatewaySettings {
    /// Makes the settings from values.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::ApiGateway);
        let common = Common::read(&mut reader);
        let limits = Limits::read(&mut reader);
        let routes = Routes::read(&mut reader);
        let webhooks = Webhooks::read(&mut reader);
        let secrets_keys = concerns::secrets_keys(&mut reader);
        reader.finish(|| {
            Some(Self { common: common?, limits: limits?, routes, webhooks: webhooks?, secrets_keys: secrets_keys? })
        })
    }
}

/// Settings of admin.
#[derive(Debug, Clone, PartialEq)]
pub struct AdminSettings {
    /// What every service has.
    pub common: Common,
    /// Events and deliveries.
    pub webhooks: Webhooks,
    /// The keys that seal webhook secrets, for the key ring.
    pub secrets_keys: Secret,
    /// How operators get in.
    pub operators: OperatorAccess,
}

impl AdminSettings {
    /// Makes the settings from values.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::Admin);
        let common = Common::read(&mut reader);
        let webhooks = Webhooks::read(&mut reader);
        let secrets_keys = concerns::secrets_keys(&mut reader);
        let operators = OperatorAccess::read(&mut reader);
        reader.finish(|| Some(Self { common: common?, webhooks: webhooks?, secrets_keys: secrets_keys?, operators }))
    }
}

/// Settings of monitoring.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitoringSettings {
    /// What every service has.
    pub common: Common,
    /// Above what alerts fire.
    pub thresholds: Thresholds,
    /// How operators get in.
    pub operators: OperatorAccess,
    /// Does monitoring answer without authentication? Never in production.
    pub open: bool,
}

impl MonitoringSettings {
    /// Makes the settings from values.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::Monitoring);
        let common = Common::read(&mut reader);
        let thresholds = concerns::thresholds(&mut reader);
        let operators = OperatorAccess::read(&mut reader);
        let open = concerns::monitoring_open(&mut reader);
        reader.finish(|| Some(Self { common: common?, thresholds: thresholds?, operators, open: open? }))
    }
}

/// Settings of delivery-worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// What every service has.
    pub common: Common,
    /// Events and deliveries.
    pub webhooks: Webhooks,
    /// How many bytes of bodies it holds at the same time.
    pub body_bytes: usize,
    /// When a subscription that fails is left alone.
    pub breaker: BreakerPolicy,
    /// The keys that seal webhook secrets, for the key ring.
    pub secrets_keys: Secret,
    /// When partners are warned of failing subscriptions, and when those are disabled.
    pub failure_policy: FailurePolicy,
    /// Days for which events, deliveries and attempts are kept.
    pub retention_days: u32,
}

impl WorkerSettings {
    /// Makes the settings from values.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::DeliveryWorker);
        let common = Common::read(&mut reader);
        let webhooks = Webhooks::read(&mut reader);
        let body_bytes = concerns::worker_body_bytes(&mut reader);
        let breaker = concerns::breaker(&mut reader);
        let secrets_keys = concerns::secrets_keys(&mut reader);
        let failure_policy = concerns::failure_policy(&mut reader);
        let retention_days = concerns::retention_days(&mut reader);
        reader.finish(|| {
            Some(Self {
                common: common?,
                webhooks: webhooks?,
                body_bytes: body_bytes?,
                breaker: breaker?,
                secrets_keys: secrets_keys?,
                failure_policy: failure_policy?,
                retention_days: retention_days?,
            })
        })
    }
}

/// When deliveries are tried again and receivers left alone, by a worker of this environment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicies {
    /// How often and after which waits a delivery is tried.
    pub schedule: RetrySchedule,
    /// When a subscription that fails is left alone.
    pub breaker: BreakerPolicy,
}

impl DeliveryPolicies {
    /// Makes them from values.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::DeliveryWorker);
        let schedule = concerns::schedule(&mut reader);
        let breaker = concerns::breaker(&mut reader);
        reader.finish(|| Some(Self { schedule: schedule?, breaker: breaker? }))
    }
}

/// What the `onering` command takes from its surroundings. Each subcommand asks for what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CliSettings {
    /// Where the platform answers, where that was said.
    pub base_url: Option<Url>,
    /// The admin key to call with.
    pub admin_key: Option<Secret>,
    /// The signing secret of a subscription.
    pub webhook_secret: Option<Secret>,
    /// Postgres.
    pub database: Option<Database>,
    /// Redis, for a development stack that is not to run its own.
    pub redis: Option<Redis>,
    /// The directory of switch files.
    pub flags_dir: Option<PathBuf>,
    /// How old a stamp the sink accepts.
    pub replay_window: Duration,
    /// Where a development stack listens.
    pub stack_ports: StackPorts,
    /// Slips that stop nothing.
    pub warnings: Vec<SettingWarning>,
}

impl CliSettings {
    /// Makes the settings from values. Nothing is required, but what is given must be usable.
    ///
    /// # Errors
    /// [`SettingsError`] with everything that is wrong.
    pub fn from_values(values: &Values) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(values, Service::Cli);
        let base_url = reader.http_url(&BASE_URL);
        let admin_key = reader.secret(&ADMIN_KEY);
        let webhook_secret = reader.secret(&WEBHOOK_SECRET);
        let database = Database::read(&mut reader);
        let redis = Redis::read(&mut reader);
        let flags_dir = reader.path(&FLAGS_DIR);
        let replay_window = concerns::replay_window(&mut reader);
        let stack_ports = StackPorts::read(&mut reader);
        let warnings = reader.warnings();
        reader.finish(|| {
            Some(Self {
                base_url,
                admin_key,
                webhook_secret,
                database,
                redis,
                flags_dir,
                replay_window: replay_window?,
                stack_ports: stack_ports?,
                warnings,
            })
        })
    }
}

/// Settings of api-gateway from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_gateway() -> Result<GatewaySettings, SettingsError> {
    GatewaySettings::from_values(&Values::from_process())
}

/// Settings of admin from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_admin() -> Result<AdminSettings, SettingsError> {
    AdminSettings::from_values(&Values::from_process())
}

/// Settings of monitoring from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_monitoring() -> Result<MonitoringSettings, SettingsError> {
    MonitoringSettings::from_values(&Values::from_process())
}

/// Settings of delivery-worker from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_worker() -> Result<WorkerSettings, SettingsError> {
    WorkerSettings::from_values(&Values::from_process())
}

/// Those of delivery-worker from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_delivery_policies() -> Result<DeliveryPolicies, SettingsError> {
    DeliveryPolicies::from_values(&Values::from_process())
}

/// Settings of the `onering` command from this process' environment and files.
///
/// # Errors
/// [`SettingsError`] with everything that is wrong.
pub fn load_cli() -> Result<CliSettings, SettingsError> {
    CliSettings::from_values(&Values::from_process())
}
