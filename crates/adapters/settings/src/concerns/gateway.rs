//! What only the gateway does: limits and forwarding.

use std::path::PathBuf;

use onering_rate_limit::LossPolicy;

use crate::reader::Reader;
use crate::table::{RATELIMIT_ON_REDIS_LOSS, ROUTES_FILE};

/// Rate limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What holds while Redis does not answer.
    pub on_redis_loss: LossPolicy,
}

impl Limits {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let on_redis_loss = reader.parsed(&RATELIMIT_ON_REDIS_LOSS);
        Some(Self { on_redis_loss: on_redis_loss? })
    }
}

/// Forwarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// The route table; `None` forwards nothing.
    pub file: Option<PathBuf>,
}

impl Routes {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self { file: reader.path(&ROUTES_FILE) }
    }
}
