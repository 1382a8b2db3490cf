//! How a command reaches a platform: what was given, else what the dev stack of this folder left in `.run/dev.env`.

use anyhow::Context as _;
use clap::Args;
use url::Url;

use crate::api::Api;
use crate::stack::DevEnv;

/// How to reach a running platform as its operator.
#[derive(Args, Clone)]
pub(crate) struct OperatorAccess {
    /// Where the platform answers; the dev stack of this folder when left out
    #[arg(long, env = "ONERING_BASE_URL")]
    pub(crate) backend_url: Option<Url>,
    /// An admin key; the dev stack's when left out
    #[arg(long, env = "ONERING_ADMIN_KEY", hide_env_values = true)]
    pub(crate) admin_key: Option<String>,
}

impl OperatorAccess {
    /// The platform's address and an admin key for it.
    pub(crate) fn resolve(&self) -> anyhow::Result<(Url, String)> {
        self.resolve_beside(&DevEnv::of_this_folder())
    }

    /// A client of the platform.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        let (backend_url, admin_key) = self.resolve()?;
        Api::new(&backend_url, &admin_key)
    }

    fn resolve_beside(&self, dev_env: &DevEnv) -> anyhow::Result<(Url, String)> {
        let of_dev_stack = dev_env.base_url();
        let backend_url = self.backend_url.clone().or_else(|| of_dev_stack.clone()).context(
            "where does the platform answer? Give --backend-url or ONERING_BASE_URL (no dev stack runs in this folder)",
        )?;
        // The dev stack's key is sent to the dev stack and to nobody else.
        let fitting = || dev_env.admin_key().filter(|_| Some(&backend_url) == of_dev_stack.as_ref());
        let admin_key = self.admin_key.clone().or_else(fitting).with_context(|| {
            format!("an admin key of {backend_url} is needed: give ONERING_ADMIN_KEY (or --admin-key, which other users of this machine can see)")
        })?;
        Ok((backend_url, admin_key))
    }
}

/// How to reach the database.
#[derive(Args, Clone)]
pub(crate) struct DatabaseAccess {
    /// The database; that of the dev stack of this folder when left out
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

impl DatabaseAccess {
    /// The database's address.
    pub(crate) fn resolve(&self) -> anyhow::Result<String> {
        self.database_url
            .clone()
            .or_else(|| DevEnv::of_this_folder().database_url())
            .context("which database? Give DATABASE_URL (no dev stack runs in this folder)")
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_dev_stack_is_what_is_meant_when_nothing_is_said() {
        let (url, key) = access(None, None).resolve_beside(&dev_env()).unwrap();
        assert_eq!((url.as_str(), key.as_str()), ("http://127.0.0.1:8000/", "oak_dev"));
        let (_, key) = access(None, Some("oak_other")).resolve_beside(&dev_env()).unwrap();
        assert_eq!(key, "oak_other");
    }

    #[test]
    fn the_dev_stacks_key_goes_to_the_dev_stack_only() {
        let error = access(Some("https://partners.example"), None).resolve_beside(&dev_env()).unwrap_err().to_string();
        assert!(error.contains("ONERING_ADMIN_KEY"), "{error}");
        assert!(access(Some("http://127.0.0.1:8000"), None).resolve_beside(&dev_env()).is_ok());
    }

    #[test]
    fn without_a_dev_stack_the_address_is_asked_for() {
        let error = access(None, Some("oak_x")).resolve_beside(&DevEnv::default()).unwrap_err().to_string();
        assert!(error.contains("ONERING_BASE_URL"), "{error}");
    }
}
