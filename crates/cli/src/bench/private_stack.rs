//! A stack of the benchmark's own, in a temporary folder, on free ports.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use crate::stack::{self, Lifetime, ProcessRecords, RunFolder, StackConfig, Stores};

/// The services may take 30 s to finish, the stores some more.
const PATIENCE: Duration = Duration::from_secs(75);
const POLL: Duration = Duration::from_millis(20);

/// A stack for one use. The supervisor ends with this process even when it is killed, and removes the folder then.
pub(super) struct PrivateStack {
    directory: tempfile::TempDir,
    folder: RunFolder,
    supervisor: Option<Child>,
}

/// Where a started stack answers.
pub(super) struct Addresses {
    /// The gateway.
    pub(super) gateway: SocketAddr,
    /// The worker's own address.
    pub(super) worker: SocketAddr,
    /// The admin service.
    pub(super) admin: Url,
    /// The monitoring service.
    pub(super) monitoring: Url,
    /// An admin key.
    pub(super) admin_key: String,
    /// The stores.
    pub(super) stores: Stores,
}

impl PrivateStack {
    /// Makes its folder; nothing runs yet.
    pub(super) fn prepare() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("onering-bench-")
            // Postgres runs under another account when this is root, and must be able to reach its data.
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .context("no temporary folder can be made")?;
        let folder = RunFolder::create_at(directory.path().to_owned())?;
        Ok(Self { directory, folder, supervisor: None })
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn start(&mut self) -> anyhow::Result<Addresses> {
        self.start_with(&[]).await
    }

    /// The same with variables that win over those this command was given.
    pub(super) async fn start_with(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<Addresses> {
        let config = StackConfig {
            gateways: 1,
            workers: 1,
            admins: 1,
            monitorings: 1,
            ports: stack::Ports::free()?,
            extra_ports: Vec::new(),
            own_postgres: true,
            own_redis: true,
        };
        stack::lay_out(&self.folder, &config)?;
        let supervisor = stack::start_supervisor(&self.folder, Lifetime::Passing, environment)?;
        let supervisor = self.supervisor.insert(supervisor);
        stack::wait_until_ready(&self.folder, &config, supervisor, |_| ()).await?;
        let stores = stack::store_addresses(&self.folder)?;
        let admin_key = stack::admin_key(&stores.database_url, None).await?.expose().to_owned();
        Ok(Addresses {
            gateway: SocketAddr::from((Ipv4Addr::LOCALHOST, config.ports.gateway)),
            worker: SocketAddr::from((Ipv4Addr::LOCALHOST, config.ports.worker)),
            admin: format!("http://127.0.0.1:{}", config.ports.admin).parse()?,
            monitoring: format!("http://127.0.0.1:{}", config.ports.monitoring).parse()?,
            admin_key,
            stores,
        })
    }

    /// Where everything of it is.
    pub(super) const fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Process id of one of its processes.
    pub(super) fn pid(&self, process: &str) -> Option<i32> {
        ProcessRecords::of(&self.folder).live(process).map(|pid| pid.as_raw_nonzero().get())
    }

    /// Ends everything and removes the folder.
    pub(super) async fn remove(mut self) -> anyhow::Result<()> {
        if let Some(mut supervisor) = self.supervisor.take() {
            // Closing its standard input tells it to stop, even when it has only just been started.
            drop(supervisor.stdin.take());
            let ended = async {
                while supervisor.try_wait()?.is_none() {
                    tokio::time::sleep(POLL).await;
                }
                anyhow::Ok(())
            };
            if tokio::time::timeout(PATIENCE, ended).await.is_err() {
                supervisor.kill()?;
            }
        }
        // What a supervisor that had to be killed has left.
        stack::stop(&self.folder).await.context("the stack of the benchmark cannot be stopped")?;
        let path = self.directory.path().to_owned();
        match self.directory.close() {
            // An abandoned supervisor has removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.with_context(|| format!("{} cannot be removed", path.display())),
        }
    }
}
