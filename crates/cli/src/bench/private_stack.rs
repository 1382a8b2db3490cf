//! A stack of the benchmark's own, in a temporary folder, on free ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_dev_servers::free_port;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stack::bench::{Ports, RunFolder, StackConfig, Stores, ensure_admin_key, run, states, store_addresses, write_flags};

const PATIENCE: Duration = Duration::from_secs(90);

/// A running stack.
pub(super) struct PrivateStack {
    /// Removed, with the database in it, when the benchmark ends.
    _directory: tempfile::TempDir,
    folder: RunFolder,
    config: StackConfig,
    stores: Stores,
    admin_key: String,
    stop: CancellationToken,
    supervisor: JoinHandle<anyhow::Result<()>>,
}

impl PrivateStack {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("onering-bench-").tempdir()?;
        // Postgres runs as another user when this is root, and must be able to reach its data.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let folder = RunFolder::at(directory.path().join("run"))?;
        let ports = Ports {
            front_door: free_port()?,
            gateway: free_port()?,
            admin: free_port()?,
            monitoring: free_port()?,
            worker: free_port()?,
            product: free_port()?,
            postgres: free_port()?,
            redis: free_port()?,
        };
        let config = StackConfig {
            gateways: 1,
            workers: 1,
            admins: 1,
            monitorings: 1,
            ports,
            extra_ports: Vec::new(),
            own_postgres: true,
            own_redis: true,
        };
        write_flags(&folder)?;
        std::fs::write(folder.routes(), crate::stack::bench::route_table(config.ports.product))?;
        let stop = CancellationToken::new();
        let (for_supervisor, its_folder, its_config) = (stop.clone(), folder.clone(), config.clone());
        let mut supervisor = tokio::spawn(async move { run(&its_folder, &its_config, &for_supervisor).await });
        let ready = tokio::time::timeout(PATIENCE, async {
            loop {
                if folder.started().exists() && states(&folder, &config).await?.iter().all(|state| state.ready) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        tokio::select! {
            ended = &mut supervisor => {
                ended??;
                bail!("the stack of the benchmark ended");
            }
            ready = ready => ready.context("the stack of the benchmark was not ready in time")??,
        }
        let stores = store_addresses(&folder)?;
        let admin_key = ensure_admin_key(&folder, &stores.database_url).await?.expose().to_owned();
        Ok(Self { _directory: directory, folder, config, stores, admin_key, stop, supervisor })
    }

    pub(super) fn gateway(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.config.ports.gateway))
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("http://{}", self.gateway())
    }

    pub(super) fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.config.ports.admin)
    }

    pub(super) fn database_url(&self) -> &str {
        &self.stores.database_url
    }

    pub(super) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Process id of one of the stack's processes.
    pub(super) fn pid(&self, process: &str) -> Option<i32> {
        self.folder.live_pid(process)
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        match self.supervisor.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the stack of the benchmark failed: {error:#}"),
            Err(error) => eprintln!("the supervisor of the benchmark failed: {error}"),
        }
    }
}
