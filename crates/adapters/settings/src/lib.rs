//! What every process is told from outside, validated before it does anything.
//!
//! One table ([`VARIABLES`]) names each variable with its kind, bounds, default and meaning. Readers check
//! against it and `docs/configuration.md` is generated from it ([`configuration_markdown`]), so the three cannot
//! differ. Sources: the environment, over the TOML file that `ONERING_CONFIG_FILE` names, over the defaults; a
//! secret may come from the file that `<NAME>_FILE` names.
//!
//! Entry points: [`load_gateway`] and its siblings in programs; [`Values::from_map`] and
//! [`GatewaySettings::from_values`] in tests, which read nothing from outside.
//!
//! Invariants:
//! - settings that exist are valid: every number is within its bounds, every URL parses, and in the production
//!   profile nothing is open that only a development stack may open;
//! - all problems are reported at once, each with its variable and a remedy;
//! - no secret is shown by `Debug`, `Display` or an error.
//!
//! Deliberately absent: changing settings at run time. What may change is a switch, and lives in `onering-flags`.

mod concerns;
mod error;
mod markdown;
mod reader;
mod secret;
mod services;
mod sources;
mod table;
mod values;
mod variable;

pub use concerns::{
    Database, DatabaseUrl, Flags, Http, Limits, LogFormat, OperatorAccess, Process, Profile, Redis, RedisUrl, Routes,
    SslMode, StackPorts, Telemetry, Tls, Webhooks,
};
pub use error::{SettingProblem, SettingWarning, SettingsError};
pub use markdown::configuration_markdown;
pub use secret::Secret;
pub use services::{
    AdminSettings, CliSettings, Common, DeliveryPolicies, GatewaySettings, MonitoringSettings, WorkerSettings,
    load_admin, load_cli, load_delivery_policies, load_gateway, load_monitoring, load_worker,
};
pub use table::VARIABLES;
pub use values::Values;
pub use variable::{Concern, DefaultValue, Kind, Service, Variable};
