//! How a command reaches a platform: by its flags, else by its settings (the environment, `ONERING_CONFIG_FILE`, the file
//! that `…_FILE` names), else by what the dev stack of this folder left in `.run/dev.env`.

use anyhow::Context as _;
use clap::Args;
use onering_settings::{CliSettings, load_cli};
use onering_store::PoolConfig;
use url::Url;

use crate::api::Api;
use crate::stack::DevEnv;

/// How to reach a running platform as its operator.
#[derive(Args, Clone)]
pub(crate) struct OperatorAccess {
    /// Where the platform answers; ONERING_BASE_URL, or the dev stack of this folder, when left out
    #[arg(long)]
    pub(crate) backend_url: Option<Url>,
    /// An admin key; ONERING_ADMIN_KEY, or the dev stack's, when left out
    #[arg(long)]
    pub(crate) admin_key: Option<String>,
}

impl OperatorAccess {
    /// The platform's address and an admin key for it.
    pub(crate) fn resolve(&self) -> anyhow::Result<(Url, String)> {
        self.resolve_beside(&load_cli()?, &DevEnv::of_this_folder()?)
    }

    /// A client of the platform.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        let (backend_url, admin_key) = self.resolve()?;
        Api::new(&backend_url, &admin_key)
    }

    fn resolve_beside(&self, settings: &CliSettings, dev_env: &DevEnv) -> anyhow::Result<(Url, String)> {
        let of_dev_stack = dev_env.base_url();
        let given = self.backend_url.as_ref().or(settings.base_url.as_ref());
        let backend_url = given.or(of_dev_stack.as_ref()).cloned().context(
            "where does the platform answer? Give --backend-url or ONERING_BASE_URL (no dev stack runs in this folder)",
        )?;
        // The dev stack's key is sent to the dev stack and to nobody else.
        let fitting = || dev_env.admin_key().filter(|_| Some(&backend_url) == of_dev_stack.as_ref());
        let from_settings = || settings.admin_key.as_ref().map(|key| key.expose().to_owned());
        let admin_key = self.admin_key.clone().or_else(from_settings).or_else(fitting).with_context(|| {
            format!("an admin key of {backend_url} is needed: give ONERING_ADMIN_KEY (or --admin-key, which other users of this machine can see)")
        })?;
        Ok((backend_url, admin_key))
    }
}

/// How to reach the database.
#[derive(Args, Clone)]
pub(crate) struct DatabaseAccess {
    /// The database; DATABASE_URL, or that of the dev stack of this folder, when left out
    #[arg(long)]
    pub(crate) database_url: Option<String>,
}

impl DatabaseAccess {
    /// How to connect to the database.
    pub(crate) fn resolve(&self) -> anyhow::Result<PoolConfig> {
        if let Some(url) = &self.database_url {
            return PoolConfig::new(url).context("--database-url");
        }
        if let Some(database) = load_cli()?.database {
            return PoolConfig::from_settings(&database).context("DATABASE_URL");
        }
        let of_dev_stack = DevEnv::of_this_folder()?.database_url();
        let url = of_dev_stack.context("which database? Give DATABASE_URL (no dev stack runs in this folder)")?;
        PoolConfig::new(&url).context("DATABASE_URL in .run/dev.env")
    }
}

#[cfg(test)]
mod tests {
    use onering_settings::Values;

    use super::*;

    fn dev_env() -> DevEnv {
        DevEnv::parse("ONERING_BASE_URL=http://127.0.0.1:8000\nONERING_ADMIN_KEY=oak_dev\n")
    }

    fn access(backend_url: Option<&str>, admin_key: Option<&str>) -> OperatorAccess {
        OperatorAccess {
            backend_url: backend_url.map(|url| url.parse().unwrap()),
            admin_key: admin_key.map(str::to_owned),
        }
    }

    fn settings(given: &[(&str, &str)]) -> CliSettings {
        CliSettings::from_values(&Values::from_map(given.iter().copied())).unwrap()
    }

    #[test]
    fn flags_go_before_settings_and_settings_before_the_dev_stack() {
        let (bare, dev_env) = (settings(&[]), dev_env());
        let (url, key) = access(None, None).resolve_beside(&bare, &dev_env).unwrap();
        assert_eq!((url.as_str(), key.as_str()), ("http://127.0.0.1:8000/", "oak_dev"));
        let (_, key) = access(None, Some("oak_other")).resolve_beside(&bare, &dev_env).unwrap();
        assert_eq!(key, "oak_other");
        let given = settings(&[("ONERING_BASE_URL", "https://partners.example"), ("ONERING_ADMIN_KEY", "oak_given")]);
        let (url, key) = access(None, None).resolve_beside(&given, &dev_env).unwrap();
        assert_eq!((url.as_str(), key.as_str()), ("https://partners.example/", "oak_given"));
        let (url, _) = access(Some("http://127.0.0.1:1"), None).resolve_beside(&given, &dev_env).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/");
    }

    #[test]
    fn the_dev_stacks_key_goes_to_the_dev_stack_only() {
        let (bare, dev_env) = (settings(&[]), dev_env());
        let elsewhere = access(Some("https://partners.example"), None).resolve_beside(&bare, &dev_env);
        let error = elsewhere.unwrap_err().to_string();
        assert!(error.contains("ONERING_ADMIN_KEY"), "{error}");
        assert!(access(Some("http://127.0.0.1:8000"), None).resolve_beside(&bare, &dev_env).is_ok());
    }

    #[test]
    fn without_a_dev_stack_the_address_is_asked_for() {
        let nowhere = access(None, Some("oak_x")).resolve_beside(&settings(&[]), &DevEnv::default());
        let error = nowhere.unwrap_err().to_string();
        assert!(error.contains("ONERING_BASE_URL"), "{error}");
    }
}
