//! What the supervisor is asked to run, and the dev stack's own secrets.

use std::fs;

use anyhow::Context as _;
use base64::Engine as _;
use serde::{Deserialize, Serialize};

use super::folder::RunFolder;
use super::ports::Ports;

/// One stack: how many of each service, on which ports, with which stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StackConfig {
    pub(crate) gateways: u16,
    pub(crate) workers: u16,
    pub(crate) admins: u16,
    pub(crate) monitorings: u16,
    pub(crate) ports: Ports,
    /// Ports of the second and further replicas, taken in the order of the plan.
    pub(crate) extra_ports: Vec<u16>,
    /// False when DATABASE_URL was given: that database is used and never started or stopped.
    pub(crate) own_postgres: bool,
    /// False when REDIS_URL was given.
    pub(crate) own_redis: bool,
}

impl StackConfig {
    pub(crate) fn read(folder: &RunFolder) -> anyhow::Result<Self> {
        let path = folder.config();
        let text = fs::read_to_string(&path).with_context(|| format!("no stack has been started here ({})", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged; run `onering up` again", path.display()))
    }

    pub(crate) fn write(&self, folder: &RunFolder) -> anyhow::Result<()> {
        RunFolder::write_private(&folder.config(), &serde_json::to_string_pretty(self)?)
    }
}

/// Secrets of the dev stack, made at the first start and kept, so that sealed rows stay readable.
#[derive(Serialize, Deserialize)]
pub(crate) struct DevSecrets {
    /// Value of ONERING_SECRETS_KEYS.
    pub(crate) secrets_keys: String,
}

impl DevSecrets {
    pub(crate) fn load_or_make(folder: &RunFolder) -> anyhow::Result<Self> {
        let path = folder.secrets();
        if let Ok(text) = fs::read_to_string(&path) {
            return serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; restore it, or remove .run/ to start anew", path.display()));
        }
        let clock = onering_clock::Clock::system();
        let made = Self {
            secrets_keys: format!("dev1:{}", base64::engine::general_purpose::STANDARD.encode(clock.entropy32())),
        };
        RunFolder::write_private(&path, &serde_json::to_string(&made)?)?;
        Ok(made)
    }
}
