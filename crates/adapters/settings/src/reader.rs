//! [`Reader`]: turns values into typed settings and remembers every problem on the way.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::concerns::Profile;
use crate::error::{SettingProblem, SettingWarning, SettingsError};
use crate::secret::Secret;
use crate::table::PROFILE;
use crate::values::{Machine, Values};
use crate::variable::{DefaultValue, Kind, Service, Variable};

/// Reads variables for one service. Each method answers `None` after noting why, so that a caller reads all
/// of its variables first and unwraps them with `?` afterwards.
pub(crate) struct Reader<'a> {
    values: &'a Values,
    service: Service,
    profile: Profile,
    problems: Vec<SettingProblem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(values: &'a Values, service: Service) -> Self {
        let mut reader = Self {
            values,
            service,
            // Until it is known, and if it cannot be: so that one bad word does not bring further refusals.
            profile: Profile::Dev,
            problems: values.problems().to_vec(),
        };
        if let Some(profile) = reader.parsed(&PROFILE) {
            reader.profile = profile;
        }
        // The command line runs by hand and often against a stack on the same machine.
        if service == Service::Cli && !reader.given(&PROFILE) {
            reader.profile = Profile::Dev;
        }
        reader
    }

    pub(crate) fn service(&self) -> Service {
        self.service
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.values.machine
    }

    /// Was the variable set (rather than left to its default)?
    pub(crate) fn given(&self, variable: &Variable) -> bool {
        self.values.get(variable.name).is_some()
    }

    /// What was given, without the default.
    pub(crate) fn given_text(&self, variable: &Variable) -> Option<&'a str> {
        self.values.get(variable.name)
    }

    /// Notes a problem. `problem` must not quote a secret.
    pub(crate) fn refuse(&mut self, variable: &Variable, problem: impl Into<String>, remedy: impl Into<String>) {
        debug_assert!(
            variable.used_by.contains(&self.service),
            "{} is not documented as read by {}",
            variable.name,
            self.service
        );
        self.problems.push(SettingProblem {
            variable: variable.name.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// Refuses in production what only a development stack may set.
    pub(crate) fn refuse_in_production(&mut self, variable: &Variable, problem: &str) {
        if self.profile == Profile::Production {
            self.refuse(
                variable,
                format!("{problem}, which the production profile refuses"),
                format!("unset it, or set {}=dev on a development machine", PROFILE.name),
            );
        }
    }

    /// The text given, or the default. Notes a missing one that is required.
    pub(crate) fn text(&mut self, variable: &Variable) -> Option<&'a str> {
        debug_assert!(
            variable.used_by.contains(&self.service),
            "{} is not documented as read by {}",
            variable.name,
            self.service
        );
        let text = self.values.get(variable.name).or_else(|| variable.default_for(self.service));
        if text.is_none() && variable.default == DefaultValue::Required && self.service != Service::Cli {
            let by_file = if variable.secret() {
                format!(" (or {}_FILE to the path of a file that holds it)", variable.name)
            } else {
                String::new()
            };
            self.refuse(variable, "is not set", format!("set it to {}{by_file}", variable.kind));
        }
        text
    }

    /// A value of any type that parses from text.
    pub(crate) fn parsed<T>(&mut self, variable: &Variable) -> Option<T>
    where
        T: FromStr,
    {
        let text = self.text(variable)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse_text(variable, text);
        }
        parsed
    }

    /// As [`Reader::parsed`], by a function whose error says what is wrong.
    pub(crate) fn parsed_by<T, E: Display>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.refuse(variable, error.to_string(), format!("set it to {}", variable.kind));
                None
            }
        }
    }

    pub(crate) fn switch(&mut self, variable: &Variable) -> Option<bool> {
        let text = self.text(variable)?;
        let value = match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "on" => Some(true),
            "0" | "false" | "off" => Some(false),
            _ => None,
        };
        if value.is_none() {
            self.refuse_text(variable, text);
        }
        value
    }

    /// A whole number within the variable's bounds.
    pub(crate) fn whole<T: TryFrom<u64>>(&mut self, variable: &Variable) -> Option<T> {
        let text = self.text(variable)?;
        let value = match variable.kind {
            Kind::Whole { min, max, .. } => text
                .parse()
                .ok()
                .filter(|value| (min..=max).contains(value))
                .and_then(|value: u64| T::try_from(value).ok()),
            _ => None,
        };
        if value.is_none() {
            self.refuse_text(variable, text);
        }
        value
    }

    /// A whole number that may be negative, within the variable's bounds.
    pub(crate) fn signed(&mut self, variable: &Variable) -> Option<i64> {
        let text = self.text(variable)?;
        let value = match variable.kind {
            Kind::Signed { min, max, .. } => text.parse().ok().filter(|value| (min..=max).contains(value)),
            _ => None,
        };
        if value.is_none() {
            self.refuse_text(variable, text);
        }
        value
    }

    /// A number with decimals within the variable's bounds.
    pub(crate) fn decimal(&mut self, variable: &Variable) -> Option<f64> {
        let text = self.text(variable)?;
        let value = match variable.kind {
            Kind::Decimal { min, max, .. } => text.parse().ok().filter(|value| (min..=max).contains(value)),
            _ => None,
        };
        if value.is_none() {
            self.refuse_text(variable, text);
        }
        value
    }

    /// Whole seconds.
    pub(crate) fn seconds(&mut self, variable: &Variable) -> Option<Duration> {
        self.whole(variable).map(Duration::from_secs)
    }

    /// A list of waits.
    pub(crate) fn seconds_list(&mut self, variable: &Variable) -> Option<Vec<Duration>> {
        let text = self.text(variable)?;
        let Kind::SecondsList { max_entries, max_seconds } = variable.kind else {
            self.refuse_text(variable, text);
            return None;
        };
        let waits: Option<Vec<Duration>> = entries(text)
            .map(|entry| {
                let wait = Duration::try_from_secs_f64(entry.parse().ok()?).ok()?;
                (wait <= Duration::from_secs(max_seconds)).then_some(wait)
            })
            .collect();
        let waits = waits.filter(|waits| (1..=max_entries).contains(&waits.len()));
        if waits.is_none() {
            self.refuse_text(variable, text);
        }
        waits
    }

    /// A list of days, which may be empty by the word `none`.
    pub(crate) fn days_list(&mut self, variable: &Variable) -> Option<Vec<u16>> {
        let text = self.text(variable)?;
        let Kind::DaysList { max_entries, max_days } = variable.kind else {
            self.refuse_text(variable, text);
            return None;
        };
        let listed = if text == "none" { "" } else { text };
        let days: Option<Vec<u16>> =
            entries(listed).map(|entry| entry.parse().ok().filter(|day| (1..=max_days).contains(day))).collect();
        let days = days.filter(|days| days.len() <= max_entries);
        if days.is_none() {
            self.refuse_text(variable, text);
        }
        days
    }

    /// Networks; a lone address counts as a network of one.
    pub(crate) fn networks(&mut self, variable: &Variable) -> Option<Vec<IpNet>> {
        let text = self.text(variable)?;
        let mut networks = Vec::new();
        for entry in entries(text) {
            let network = entry.parse().ok().or_else(|| entry.parse::<IpAddr>().map(IpNet::from).ok());
            if let Some(network) = network {
                networks.push(network);
            } else {
                self.refuse(
                    variable,
                    format!("`{entry}` is neither a network nor an address"),
                    format!("set it to {}", variable.kind),
                );
                return None;
            }
        }
        Some(networks)
    }

    pub(crate) fn socket_address(&mut self, variable: &Variable) -> Option<SocketAddr> {
        self.parsed(variable)
    }

    /// A path, where one was given.
    pub(crate) fn path(&mut self, variable: &Variable) -> Option<PathBuf> {
        self.text(variable).map(PathBuf::from)
    }

    /// A secret, where one was given.
    pub(crate) fn secret(&mut self, variable: &Variable) -> Option<Secret> {
        self.text(variable).map(Secret::new)
    }

    pub(crate) fn http_url(&mut self, variable: &Variable) -> Option<Url> {
        let text = self.text(variable)?;
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            self.refuse_text(variable, text);
        }
        url
    }

    /// Slips in what was given that stop nothing.
    pub(crate) fn warnings(&self) -> Vec<SettingWarning> {
        self.values.unknown()
    }

    /// The settings, when nothing was refused.
    pub(crate) fn finish<T>(self, make: impl FnOnce() -> Option<T>) -> Result<T, SettingsError> {
        match make() {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(SettingsError::new(self.problems)),
        }
    }

    /// The usual refusal: quotes the text, unless it is secret, and names what the variable takes.
    fn refuse_text(&mut self, variable: &Variable, text: &str) {
        let problem =
            if variable.secret() { "cannot be used as it is".to_owned() } else { format!("`{text}` cannot be used") };
        self.refuse(variable, problem, format!("set it to {}", variable.kind));
    }
}

/// The entries of a list, separated by commas or white space.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\n', '\t']).filter(|entry| !entry.is_empty())
}
