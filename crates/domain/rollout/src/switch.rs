//! The switches by name: their texts, their defaults, and how three sources merge into one answer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cohort::Cohort;
use crate::percent::Percent;
use crate::source::SourceValues;
use crate::switches::Switches;

/// The most characters a cohort salt may have.
pub const MAX_SALT_LENGTH: usize = 128;

const DEFAULT_SALT: &str = "onering";

/// One switch. Its name is that of the environment variable, of the file in the flags directory and of the override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Switch {
    /// Whether `/v1/external/*` answers at all.
    ExternalApi,
    /// Whether only canary keys are admitted.
    CanaryOnly,
    /// Whether subscriptions and events are taken.
    Webhooks,
    /// Whether deliveries are sent. Off, they queue.
    Delivery,
    /// The share of partners the external API is open to.
    ApiPercent,
    /// The share of partners deliveries are sent to. The others' are held.
    WebhookPercent,
    /// Which draw of partners both cohorts use.
    CohortSalt,
}

/// What kind of value a switch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `0 1 true false on off`, in either case.
    OnOff,
    /// A [`Percent`].
    Percent,
    /// 1 to [`MAX_SALT_LENGTH`] characters, none of them a control character.
    Text,
}

/// The value of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Of a switch that is on or off.
    OnOff(bool),
    /// Of a cohort's share.
    Percent(Percent),
    /// Of the cohort salt.
    Text(String),
}

/// Why a text is no value for a switch, in terms an operator can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// There is no switch of this name.
    #[error("there is no such switch; the switches are {}", names())]
    UnknownName,
    /// Not one of the six texts for on and off.
    #[error("{switch} must be 0, 1, true, false, on or off")]
    OnOff {
        /// The switch the text was for.
        switch: Switch,
    },
    /// Not a percentage.
    #[error("{switch} must be a number from 0 to 100 with at most three decimals")]
    Percent {
        /// The switch the text was for.
        switch: Switch,
    },
    /// Empty, too long, or with a control character.
    #[error("{switch} must have 1 to {MAX_SALT_LENGTH} characters, none of them a control character")]
    Text {
        /// The switch the text was for.
        switch: Switch,
    },
    /// A value that as an override would change nothing, because overrides only narrow.
    #[error("{}", cannot_narrow(*switch))]
    CannotNarrow {
        /// The switch the text was for.
        switch: Switch,
    },
}

impl Switch {
    /// All switches.
    pub const ALL: [Self; 7] = [
        Self::ExternalApi,
        Self::CanaryOnly,
        Self::Webhooks,
        Self::Delivery,
        Self::ApiPercent,
        Self::WebhookPercent,
        Self::CohortSalt,
    ];

    /// The name, the same in every source.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExternalApi => "ONERING_EXTERNAL_API_ENABLED",
            Self::CanaryOnly => "ONERING_EXTERNAL_API_CANARY_ONLY",
            Self::Webhooks => "ONERING_WEBHOOKS_ENABLED",
            Self::Delivery => "ONERING_WEBHOOKS_DELIVERY_ENABLED",
            Self::ApiPercent => "ONERING_EXTERNAL_API_COHORT_PERCENT",
            Self::WebhookPercent => "ONERING_WEBHOOKS_COHORT_PERCENT",
            Self::CohortSalt => "ONERING_COHORT_SALT",
        }
    }

    /// What kind of value it takes.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::ExternalApi | Self::CanaryOnly | Self::Webhooks | Self::Delivery => Kind::OnOff,
            Self::ApiPercent | Self::WebhookPercent => Kind::Percent,
            Self::CohortSalt => Kind::Text,
        }
    }

    /// The value in force when no source has one, as text.
    #[must_use]
    pub const fn default_text(self) -> &'static str {
        match self.kind() {
            Kind::OnOff => "0",
            Kind::Percent => "100",
            Kind::Text => DEFAULT_SALT,
        }
    }

    /// What it does, for operators.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ExternalApi => "Opens the external API; off, every call to it answers 503.",
            Self::CanaryOnly => "Admits only canary keys to the external API.",
            Self::Webhooks => "Opens webhook subscriptions and events; off, both answer 503.",
            Self::Delivery => "Sends deliveries; off, events keep queueing and go out when it is on again.",
            Self::ApiPercent => {
                "Share of partners, in percent, the external API is open to; canary partners always are."
            }
            Self::WebhookPercent => {
                "Share of partners, in percent, deliveries go out to; those of the others are held."
            }
            Self::CohortSalt => "Names the draw of partners into cohorts; another text draws anew.",
        }
    }

    /// Reads a value as the environment or a flag file gives it. Space around it, such as a file's last newline, does
    /// not count.
    ///
    /// # Errors
    /// When the text is no value of the switch's [`Kind`].
    pub fn parse_value(self, text: &str) -> Result<Value, SwitchError> {
        let text = text.trim();
        match self.kind() {
            Kind::OnOff => on_or_off(text).map(Value::OnOff).ok_or(SwitchError::OnOff { switch: self }),
            Kind::Percent => text.parse().map(Value::Percent).map_err(|_| SwitchError::Percent { switch: self }),
            Kind::Text => {
                let good = (1..=MAX_SALT_LENGTH).contains(&text.chars().count()) && !text.contains(char::is_control);
                good.then(|| Value::Text(text.to_owned())).ok_or(SwitchError::Text { switch: self })
            }
        }
    }

    /// Reads a value for a runtime override, which has to be one that can narrow.
    ///
    /// # Errors
    /// As [`Switch::parse_value`], and when an override with this value would have no effect: an operator who sets it
    /// expects one.
    pub fn parse_override(self, text: &str) -> Result<Value, SwitchError> {
        let value = self.parse_value(text)?;
        let narrows = match (self, &value) {
            (Self::CanaryOnly, Value::OnOff(on)) => *on,
            (_, Value::OnOff(on)) => !*on,
            (_, Value::Percent(_)) => true,
            (_, Value::Text(_)) => false,
        };
        if narrows { Ok(value) } else { Err(SwitchError::CannotNarrow { switch: self }) }
    }
}

/// Merges the sources: files beat the environment, and the overrides can only narrow what these two say.
///
/// On or off: on when the first two say on and the override does not say off. Canary-only, which narrows by being on:
/// on when either says on. Shares: the smaller. The salt: overrides have no say, as another draw is no narrower one.
#[must_use]
pub fn resolve(env: &SourceValues, files: &SourceValues, overrides: &SourceValues) -> Switches {
    let defaults = Switches::default();
    let base = files.clone().or(env);
    let on = |value: Option<bool>, default: bool, narrowed: Option<bool>| {
        value.unwrap_or(default) && narrowed.unwrap_or(true)
    };
    let share = |value: Option<Percent>, default: Percent, narrowed: Option<Percent>| {
        value.unwrap_or(default).min(narrowed.unwrap_or(Percent::ALL))
    };
    let api_percent = share(base.api_percent, defaults.api_cohort.percent, overrides.api_percent);
    let webhook_percent = share(base.webhook_percent, defaults.webhook_cohort.percent, overrides.webhook_percent);
    let salt = base.cohort_salt.unwrap_or(defaults.api_cohort.salt);
    Switches {
        external_api: on(base.external_api, defaults.external_api, overrides.external_api),
        canary_only: base.canary_only.unwrap_or(defaults.canary_only) || overrides.canary_only.unwrap_or(false),
        webhooks: on(base.webhooks, defaults.webhooks, overrides.webhooks),
        delivery: on(base.delivery, defaults.delivery, overrides.delivery),
        api_cohort: Cohort { percent: api_percent, salt: salt.clone() },
        webhook_cohort: Cohort { percent: webhook_percent, salt },
    }
}

pub(crate) fn default_salt() -> String {
    DEFAULT_SALT.to_owned()
}

fn on_or_off(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" => Some(true),
        "0" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn names() -> String {
    Switch::ALL.map(Switch::name).join(", ")
}

fn cannot_narrow(switch: Switch) -> String {
    match switch {
        Switch::CanaryOnly => format!("an override can turn {switch} on, not off"),
        Switch::CohortSalt => format!("{switch} cannot be overridden at run time: another draw is not a narrower one"),
        _ => format!("an override can turn {switch} off, not on"),
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Switch {
    type Err = SwitchError;

    fn from_str(name: &str) -> Result<Self, SwitchError> {
        Self::ALL.into_iter().find(|switch| switch.name() == name).ok_or(SwitchError::UnknownName)
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Value {
    /// The text sources hold: `1`, `0`, `12.5`, or the salt.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnOff(on) => formatter.write_str(if *on { "1" } else { "0" }),
            Self::Percent(percent) => percent.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests;
