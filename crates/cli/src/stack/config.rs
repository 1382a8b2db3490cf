//! What a supervisor is asked to run.

use std::fs;
use std::io::ErrorKind;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::folder::RunFolder;
use super::ports::Ports;

/// For people who ask for a stack that is not there.
pub(crate) const NOT_STARTED: &str = "no stack was started here; `make up` (or `onering up`) starts one";

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
    /// That of the last start in this folder.
    pub(crate) fn read(folder: &RunFolder) -> anyhow::Result<Self> {
        let path = folder.config();
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!(NOT_STARTED),
            _ => anyhow::Error::new(error).context(format!("{} cannot be read", path.display())),
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged; run `onering up` again", path.display()))
    }

    /// For the supervisor, and for later commands.
    pub(crate) fn write(&self, folder: &RunFolder) -> anyhow::Result<()> {
        RunFolder::write_private(&folder.config(), &serde_json::to_string_pretty(self)?)
    }
}
