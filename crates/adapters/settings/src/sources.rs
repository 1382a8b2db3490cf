//! Gathers [`Values`] from the outside: the process environment, the file that `ONERING_CONFIG_FILE` names,
//! and the files that `<SECRET>_FILE` variables name. The only place that does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use config::{Config, ConfigError, Environment, File, FileFormat, Source, Value, ValueKind};

use crate::error::SettingProblem;
use crate::table::{self, CONFIG_FILE, VARIABLES};
use crate::values::{Machine, Values};

/// Names of ours that are not in the table start with this.
const PREFIX: &str = "ONERING_";

/// A secret may come from the file that the variable of this ending names.
const FILE_SUFFIX: &str = "_FILE";

type Given = BTreeMap<String, String>;

impl Values {
    /// Everything this process was given: its environment, its configuration file, its secret files.
    /// Files that cannot be read are reported with all other problems when settings are made.
    #[must_use]
    pub fn from_process() -> Self {
        Self::gather(std::env::vars_os(), Machine::of_this_process())
    }

    /// As [`Values::from_process`], from the environment given.
    fn gather(environment: impl IntoIterator<Item = (OsString, OsString)>, machine: Machine) -> Self {
        let mut problems = Vec::new();
        let environment = ours(environment, &mut problems);
        let mut given = match merge(&environment) {
            Ok(given) => given,
            Err(error) => {
                problems.push(SettingProblem {
                    variable: CONFIG_FILE.name.to_owned(),
                    problem: format!("the file cannot be used ({})", without_excerpt(&error)),
                    remedy: "name a readable TOML file with one `variable = value` a line".to_owned(),
                });
                environment
            }
        };
        follow_secret_files(&mut given, &mut problems);
        Self::new(given, problems, machine)
    }
}

impl Machine {
    fn of_this_process() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let process = std::process::id();
        Self {
            process_suffix: Some(match host.trim() {
                "" => process.to_string(),
                host => format!("{host}-{process}"),
            }),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The variables that concern us, so that nothing else of the environment is even looked at.
fn ours(environment: impl IntoIterator<Item = (OsString, OsString)>, problems: &mut Vec<SettingProblem>) -> Given {
    let mut given = Given::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| concerns_us(name)) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => {
                given.insert(name.to_owned(), value);
            }
            Err(_) => problems.push(SettingProblem {
                variable: name.to_owned(),
                problem: "is not UTF-8 text".to_owned(),
                remedy: "set it to plain text".to_owned(),
            }),
        }
    }
    given
}

fn concerns_us(name: &str) -> bool {
    name.starts_with(PREFIX) || table::find(name).is_some() || secret_of_file(name).is_some()
}

/// The secret that `<SECRET>_FILE` is the file variant of.
fn secret_of_file(name: &str) -> Option<&'static str> {
    let secret = name.strip_suffix(FILE_SUFFIX)?;
    table::find(secret).filter(|variable| variable.secret()).map(|variable| variable.name)
}

/// Lays the environment over the configuration file.
fn merge(environment: &Given) -> Result<Given, ConfigError> {
    let mut builder = Config::builder();
    let file = environment.get(CONFIG_FILE.name).filter(|path| !path.is_empty());
    if let Some(path) = file {
        let file = Config::builder().add_source(File::from(Path::new(path)).format(FileFormat::Toml)).build()?;
        // The environment source lowers its keys; the file's may be in either case.
        for (key, value) in file.collect()? {
            builder = builder.set_default(key.to_lowercase(), value)?;
        }
    }
    let environment = environment
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    builder
        .add_source(Environment::default().source(Some(environment)))
        .build()?
        .collect()?
        .into_iter()
        .map(|(key, value)| Ok((key.to_uppercase(), as_text(value)?)))
        .collect()
}

/// The first line of the error: it says where, the lines below show the place, which may hold a secret.
fn without_excerpt(error: &ConfigError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A number, switch or list of the file in the form the environment has it.
fn as_text(value: Value) -> Result<String, ConfigError> {
    match value.kind {
        ValueKind::Array(entries) => {
            let entries: Result<Vec<_>, _> = entries.into_iter().map(as_text).collect();
            Ok(entries?.join(","))
        }
        ValueKind::Table(_) => {
            Err(ConfigError::Message("it holds a table; variables stand at the top, by name".to_owned()))
        }
        _ => value.into_string(),
    }
}

/// Replaces each `<SECRET>_FILE` by the text of its file.
fn follow_secret_files(given: &mut Given, problems: &mut Vec<SettingProblem>) {
    for variable in VARIABLES.iter().filter(|variable| variable.secret()) {
        let by_file = format!("{}{FILE_SUFFIX}", variable.name);
        let Some(path) = given.remove(&by_file).filter(|path| !path.is_empty()) else {
            continue;
        };
        if given.contains_key(variable.name) {
            problems.push(SettingProblem {
                variable: by_file,
                problem: format!("{} is set as well", variable.name),
                remedy: "set one of the two".to_owned(),
            });
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                given.insert(variable.name.to_owned(), text);
            }
            Err(error) => problems.push(SettingProblem {
                variable: by_file,
                problem: format!("the file {path} cannot be read ({error})"),
                remedy: "name a readable file that holds the secret and nothing else".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn gather(environment: &[(&str, &str)]) -> Values {
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Values::gather(environment, Machine::default())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn only_our_variables_are_taken() {
        let values = gather(&[("PATH", "/bin"), ("REDIS_URL", "redis://h"), ("ONERING_UNKNOWN", "1")]);
        let expected = Values::from_map([("REDIS_URL", "redis://h"), ("ONERING_UNKNOWN", "1")]);
        assert_eq!(values, expected);
    }

    #[test]
    fn the_environment_wins_over_the_file_in_either_case_of_its_keys() {
        let file = file(
            r#"
            onering_bind = "0.0.0.0:1"
            ONERING_LOG = "warn"
            ONERING_BODY_CAP_BYTES = 4096
            onering_webhooks_allow_http = true
            onering_webhooks_backoff_seconds = [1, 2.5]
            onering_typo = "x"
            "#,
        );
        let values = gather(&[("ONERING_CONFIG_FILE", file.path().to_str().unwrap()), ("ONERING_LOG", "debug")]);
        assert_eq!(values.problems(), []);
        assert_eq!(values.get("ONERING_BIND"), Some("0.0.0.0:1"));
        assert_eq!(values.get("ONERING_LOG"), Some("debug"));
        assert_eq!(values.get("ONERING_BODY_CAP_BYTES"), Some("4096"));
        assert_eq!(values.get("ONERING_WEBHOOKS_ALLOW_HTTP"), Some("true"));
        assert_eq!(values.get("ONERING_WEBHOOKS_BACKOFF_SECONDS"), Some("1,2.5"));
        assert_eq!(values.unknown()[0].variable, "ONERING_TYPO");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_a_problem_of_its_variable() {
        let broken = file("onering_secrets_keys = \"hunter2");
        let table = file("[webhooks]\nmax_attempts = 3");
        for path in ["/nowhere/onering.toml", broken.path().to_str().unwrap(), table.path().to_str().unwrap()] {
            let values = gather(&[("ONERING_CONFIG_FILE", path)]);
            let [problem] = values.problems() else {
                panic!("{path}: {:?}", values.problems());
            };
            assert_eq!(problem.variable, "ONERING_CONFIG_FILE");
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_secret_comes_from_its_file_without_the_newline() {
        let secret = file("k1:AAAA\n");
        let values = gather(&[("ONERING_SECRETS_KEYS_FILE", secret.path().to_str().unwrap())]);
        assert_eq!(values.get("ONERING_SECRETS_KEYS"), Some("k1:AAAA"));
        assert_eq!(values.get("ONERING_SECRETS_KEYS_FILE"), None);
        assert_eq!(values.problems(), []);
    }

    #[test]
    fn a_secret_given_twice_or_unreadable_is_a_problem_of_the_file_variable() {
        let values = gather(&[
            ("DATABASE_URL", "postgres://h/d"),
            ("DATABASE_URL_FILE", "/nowhere"),
            ("REDIS_URL_FILE", "/nowhere"),
        ]);
        let names: Vec<_> = values.problems().iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(names, ["DATABASE_URL_FILE", "REDIS_URL_FILE"]);
    }

    #[test]
    fn text_that_is_not_utf8_is_a_problem() {
        let environment = [(OsString::from("ONERING_LOG"), OsString::from_vec(vec![0xff]))];
        let values = Values::gather(environment, Machine::default());
        assert_eq!(values.problems()[0].variable, "ONERING_LOG");
    }
}
