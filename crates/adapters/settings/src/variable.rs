//! What a variable is: its name, what it takes, who reads it.

use std::fmt;

/// One process of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Takes partners' calls.
    ApiGateway,
    /// Takes operators' calls.
    Admin,
    /// Answers with metrics and alerts.
    Monitoring,
    /// Sends deliveries.
    DeliveryWorker,
    /// The `onering` command.
    Cli,
}

impl Service {
    /// The name of the binary: in logs, metrics and traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiGateway => "api-gateway",
            Self::Admin => "admin",
            Self::Monitoring => "monitoring",
            Self::DeliveryWorker => "delivery-worker",
            Self::Cli => "onering",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a group of variables is about: a heading of the generated documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The process itself.
    Process,
    /// The HTTP listener.
    Http,
    /// Postgres and Redis.
    Stores,
    /// The switches and the rollout cohorts.
    Switches,
    /// Rate limits and forwarding.
    Gateway,
    /// Sealing keys and operators' access.
    Secrets,
    /// Events and deliveries.
    Webhooks,
    /// Alert thresholds.
    Alerts,
    /// Logs and traces.
    Telemetry,
    /// The command line.
    CommandLine,
}

impl Concern {
    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Process => "Process",
            Self::Http => "HTTP listener",
            Self::Stores => "Postgres and Redis",
            Self::Switches => "Switches and cohorts",
            Self::Gateway => "Rate limits and forwarding",
            Self::Secrets => "Secrets and access",
            Self::Webhooks => "Events and deliveries",
            Self::Alerts => "Alert thresholds",
            Self::Telemetry => "Logs and traces",
            Self::CommandLine => "Command line",
        }
    }
}

/// What a variable takes. The bounds are checked when it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `1`, `0`, `true`, `false`, `on` or `off`.
    Switch,
    /// A share in per cent with up to three decimals.
    Percent,
    /// A whole number within bounds, both included.
    Whole {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// A whole number that may be negative.
    Signed {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
        /// What is counted.
        unit: &'static str,
    },
    /// A number with decimals, within bounds, both included.
    Decimal {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// What is measured.
        unit: &'static str,
    },
    /// Waits in seconds (decimals allowed), separated by commas.
    SecondsList {
        /// How many at most.
        max_entries: usize,
        /// The longest wait, s.
        max_seconds: u64,
    },
    /// Whole days, ascending, separated by commas.
    DaysList {
        /// How many at most.
        max_entries: usize,
        /// The last day, at most.
        max_days: u16,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A path of a file or directory.
    Path,
    /// `address:port`.
    SocketAddress,
    /// Networks (`10.0.0.0/8`) or addresses, separated by commas.
    Cidrs,
    /// An `http` or `https` URL.
    HttpUrl,
    /// Text that is never shown, in this form.
    Secret(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("`1` or `0` (also `true`/`false`, `on`/`off`)"),
            Self::Percent => f.write_str("per cent, 0 to 100, up to three decimals"),
            Self::Whole { min, max, unit } => write!(f, "{unit}, {min} to {max}"),
            Self::Signed { min, max, unit } => write!(f, "{unit}, {min} to {max}"),
            Self::Decimal { min, max, unit } => write!(f, "{unit}, {min} to {max}, decimals allowed"),
            Self::SecondsList { max_entries, max_seconds } => {
                write!(f, "seconds, 1 to {max_entries} of them separated by commas, each 0 to {max_seconds}")
            }
            Self::DaysList { max_entries, max_days } => {
                write!(
                    f,
                    "days, 1 to {max_days}, at most {max_entries} of them ascending, separated by commas; `none` for none"
                )
            }
            Self::Choice(words) => {
                for (index, word) in words.iter().enumerate() {
                    let separator = match index {
                        0 => "",
                        _ if index + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{separator}`{word}`")?;
                }
                Ok(())
            }
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("path"),
            Self::SocketAddress => f.write_str("`address:port`"),
            Self::Cidrs => f.write_str("networks or addresses separated by commas"),
            Self::HttpUrl => f.write_str("`http://` or `https://` URL"),
            Self::Secret(form) => f.write_str(form),
        }
    }
}

/// What holds when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// A service refuses to start without it (the command line asks for it only where it needs it).
    Required,
    /// The feature is off.
    Unset,
    /// This value.
    Value(&'static str),
    /// A value for each service.
    PerService(&'static [(Service, &'static str)]),
    /// Found out at start, in the way this text says.
    Computed(&'static str),
}

/// One variable: a row of the table that both the readers and the documentation are made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// The group it belongs to.
    pub concern: Concern,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: DefaultValue,
    /// Who reads it.
    pub used_by: &'static [Service],
    /// What it is for, as Markdown.
    pub doc: &'static str,
}

impl Variable {
    /// Is it never shown, and may it come from the file named by `<NAME>_FILE`?
    #[must_use]
    pub const fn secret(&self) -> bool {
        matches!(self.kind, Kind::Secret(_))
    }

    /// The unit of its value, for numbers.
    #[must_use]
    pub const fn unit(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Whole { unit, .. } | Kind::Signed { unit, .. } | Kind::Decimal { unit, .. } => Some(unit),
            Kind::SecondsList { .. } => Some("seconds"),
            Kind::DaysList { .. } => Some("days"),
            Kind::Percent => Some("per cent"),
            _ => None,
        }
    }

    /// The default text for one service.
    #[must_use]
    pub fn default_for(&self, service: Service) -> Option<&'static str> {
        match self.default {
            DefaultValue::Value(text) => Some(text),
            DefaultValue::PerService(rows) => {
                rows.iter().find_map(|(owner, text)| (*owner == service).then_some(*text))
            }
            DefaultValue::Required | DefaultValue::Unset | DefaultValue::Computed(_) => None,
        }
    }
}
