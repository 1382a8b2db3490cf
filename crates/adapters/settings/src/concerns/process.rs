//! The process itself.

use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;

use crate::reader::Reader;
use crate::table::{CLOCK_SKEW_SECONDS, INSTANCE, SHUTDOWN_SECONDS};
use crate::variable::Service;

/// The most characters an instance name may have: it becomes a consumer name, a column and a log field.
const INSTANCE_MAX_LENGTH: usize = 128;

/// How careful to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A development stack or a test: plain `http` targets, local networks and unencrypted connections are
    /// possible where they are asked for.
    Dev,
    /// Everything else, and the default: what would open a hole is refused at start.
    Production,
}

impl FromStr for Profile {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "dev" => Ok(Self::Dev),
            "production" => Ok(Self::Production),
            _ => Err(()),
        }
    }
}

/// Who this process is and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which program it is.
    pub service: Service,
    /// How careful it is.
    pub profile: Profile,
    /// Its name among its replicas, unique.
    pub instance: String,
    /// How long requests in flight may take after SIGTERM.
    pub shutdown: Duration,
    /// By how much its wall clock is moved: zero unless a fault drill asks for it.
    pub clock_skew: TimeDelta,
}

impl Process {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let instance = instance(reader);
        let shutdown = reader.seconds(&SHUTDOWN_SECONDS);
        let clock_skew = reader.signed(&CLOCK_SKEW_SECONDS).map(TimeDelta::seconds);
        if clock_skew.is_some_and(|skew| !skew.is_zero()) {
            reader.refuse_in_production(&CLOCK_SKEW_SECONDS, "it moves the clock");
        }
        Some(Self {
            service: reader.service(),
            profile: reader.profile(),
            instance: instance?,
            shutdown: shutdown?,
            clock_skew: clock_skew?,
        })
    }
}

fn instance(reader: &mut Reader<'_>) -> Option<String> {
    let service = reader.service();
    let Some(name) = reader.text(&INSTANCE) else {
        return Some(match &reader.machine().process_suffix {
            Some(suffix) => format!("{service}-{suffix}"),
            None => service.to_string(),
        });
    };
    let good = name.len() <= INSTANCE_MAX_LENGTH && name.chars().all(|letter| letter.is_ascii_graphic());
    if !good {
        reader.refuse(
            &INSTANCE,
            "it is too long or has letters that do not suit a name",
            format!("set it to at most {INSTANCE_MAX_LENGTH} visible ASCII characters"),
        );
    }
    good.then(|| name.to_owned())
}
