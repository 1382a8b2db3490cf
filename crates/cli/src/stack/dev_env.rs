//! `.run/dev.env`: the running dev stack's addresses and key, for scripts to source and for this command to find.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use onering_keys::AdminToken;
use url::Url;

use super::folder::RunFolder;
use super::plan::Stores;

const BASE_URL: &str = "ONERING_BASE_URL";
const ADMIN_KEY: &str = "ONERING_ADMIN_KEY";
const DATABASE_URL: &str = "DATABASE_URL";
const REDIS_URL: &str = "REDIS_URL";
const FLAGS_DIR: &str = "ONERING_FLAGS_DIR";

/// The variables of a `dev.env`; none where there is no such file.
#[derive(Clone, Default)]
pub(crate) struct DevEnv(BTreeMap<String, String>);

impl DevEnv {
    /// What is (or will be) in the file.
    pub(crate) fn new(base_url: &str, admin_key: &AdminToken, stores: &Stores, flags: &Path) -> Self {
        let variables = [
            (BASE_URL, base_url.to_owned()),
            (ADMIN_KEY, admin_key.expose().to_owned()),
            (DATABASE_URL, stores.database_url.clone()),
            (REDIS_URL, stores.redis_url.clone()),
            (FLAGS_DIR, flags.display().to_string()),
        ];
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// That of the current directory's dev stack; empty where there is none.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub(crate) fn of_this_folder() -> anyhow::Result<Self> {
        RunFolder::find()?.map_or_else(|| Ok(Self::default()), |folder| Self::read(&folder))
    }

    /// That of a stack's folder; empty before the stack has written one.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub(crate) fn read(folder: &RunFolder) -> anyhow::Result<Self> {
        let path = folder.dev_env();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Reads what [`Self::write`] wrote; lines of any other form are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let variables = text.lines().filter_map(|line| line.split_once('='));
        Self(variables.map(|(name, value)| (name.to_owned(), unquoted(value))).collect())
    }

    /// Writes the file.
    pub(crate) fn write(&self, folder: &RunFolder) -> anyhow::Result<()> {
        let lines = [BASE_URL, ADMIN_KEY, DATABASE_URL, REDIS_URL, FLAGS_DIR]
            .map(|name| format!("{name}={}\n", quoted(self.0.get(name).map_or("", String::as_str))));
        RunFolder::write_private(&folder.dev_env(), &lines.concat())
    }

    /// Where the stack's front door is.
    pub(crate) fn base_url(&self) -> Option<Url> {
        self.0.get(BASE_URL)?.parse().ok()
    }

    /// The stack's admin key.
    pub(crate) fn admin_key(&self) -> Option<String> {
        self.0.get(ADMIN_KEY).cloned()
    }

    /// The stack's Redis.
    pub(crate) fn redis_url(&self) -> Option<String> {
        self.0.get(REDIS_URL).cloned()
    }

    /// The stack's database.
    pub(crate) fn database_url(&self) -> Option<String> {
        self.0.get(DATABASE_URL).cloned()
    }
}

/// A value as a shell reads it back: bare where that is safe, so that simpler readers than a shell can read it too.
fn quoted(value: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_./:@%+,-".contains(character);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// The value that [`quoted`] was given.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace(r"'\''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_and_this_command_read_the_same_values() {
        let directory = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_at(directory.path().join("it's a folder; $HOME")).unwrap();
        let stores = Stores {
            database_url: "postgres://me:p%40ss@db/one?sslmode=require&application_name=a b".to_owned(),
            redis_url: "redis://127.0.0.1:8379/".to_owned(),
        };
        let written =
            DevEnv::new("http://127.0.0.1:8000", &AdminToken::from_entropy([7; 32]), &stores, &folder.flags());
        written.write(&folder).unwrap();
        assert_eq!(DevEnv::read(&folder).unwrap().0, written.0);

        let script = r#"set -eu; . "$1"; for name in ONERING_BASE_URL ONERING_ADMIN_KEY DATABASE_URL REDIS_URL ONERING_FLAGS_DIR; do
            eval "printf '%s\n' \"\$$name\""; done"#;
        let shell = std::process::Command::new("sh").args(["-c", script, "sh"]).arg(folder.dev_env()).output().unwrap();
        let expected =
            [BASE_URL, ADMIN_KEY, DATABASE_URL, REDIS_URL, FLAGS_DIR].map(|name| written.0[name].clone() + "\n");
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), expected.concat());
    }

    #[test]
    fn plain_values_are_not_quoted() {
        assert_eq!(
            quoted("postgres://onering:ab12@127.0.0.1:8432/postgres"),
            "postgres://onering:ab12@127.0.0.1:8432/postgres"
        );
        assert_eq!(quoted("a&b"), "'a&b'");
        assert_eq!(quoted(""), "''");
    }
}
