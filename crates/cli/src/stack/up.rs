//! `onering up`: from nothing to a stack that has shown it works.

use std::fs;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_keys::AdminToken;

use super::config::StackConfig;
use super::folder::{RunFolder, is_alive};
use super::ports::Ports;
use super::{admin_key, down, plan, status, stores, supervisor};
use crate::args::{Smoke, Up};
use crate::smoke;

/// From starting the supervisor to every process being ready; the first start makes a database cluster.
const PATIENCE: Duration = Duration::from_secs(120);

/// The switches of the dev stack: everything on, canary-only off.
const SWITCHES: [(&str, &str); 4] = [
    ("ONERING_EXTERNAL_API_ENABLED", "1"),
    ("ONERING_EXTERNAL_API_CANARY_ONLY", "0"),
    ("ONERING_WEBHOOKS_ENABLED", "1"),
    ("ONERING_WEBHOOKS_DELIVERY_ENABLED", "1"),
];

pub(crate) async fn up(options: Up) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open()?;
    if down::stop(&folder).await? {
        println!("restarting the stack that was running");
    }
    let config = configure(&options)?;
    config.write(&folder)?;
    write_flags(&folder)?;
    fs::write(folder.routes(), plan::route_table(config.ports.product))?;

    start_supervisor(&folder)?;
    wait_until_ready(&folder, &config).await?;

    let stores = stores::addresses(&folder)?;
    let admin_key = admin_key::ensure(&folder, &stores.database_url).await?;
    let base_url = format!("http://127.0.0.1:{}", config.ports.front_door);
    write_dev_env(&folder, &base_url, &stores, &admin_key)?;

    let mut code = ExitCode::SUCCESS;
    if !options.no_smoke {
        let smoke = Smoke {
            backend_url: base_url.parse()?,
            admin_key: admin_key.expose().to_owned(),
            webhook_sink: None,
            bail: false,
            json: false,
        };
        code = smoke::run(smoke).await?;
    }
    print_addresses(&folder, &config, &base_url).await?;
    Ok(code)
}

fn configure(options: &Up) -> anyhow::Result<StackConfig> {
    let mut ports = Ports::from_environment()?;
    let own_postgres = std::env::var_os("DATABASE_URL").is_none();
    let own_redis = std::env::var_os("REDIS_URL").is_none();
    let mut unused = Vec::new();
    if !own_postgres {
        unused.push(ports.postgres);
    }
    if !own_redis {
        unused.push(ports.redis);
    }
    ports.require_free(&unused)?;
    let replicas = options.gateways + options.workers + options.admins + options.monitorings;
    let extra_ports = ports.extra(usize::from(replicas.saturating_sub(4)));
    Ok(StackConfig {
        gateways: options.gateways,
        workers: options.workers,
        admins: options.admins,
        monitorings: options.monitorings,
        ports,
        extra_ports,
        own_postgres,
        own_redis,
    })
}

/// Writes the switches that are not there yet and names those that an earlier run left in another position.
pub(crate) fn write_flags(folder: &RunFolder) -> anyhow::Result<()> {
    for (name, value) in SWITCHES {
        let path = folder.flags().join(name);
        match fs::read_to_string(&path) {
            Ok(found) if found.trim() == value => {}
            Ok(found) => println!("note: {name} is {} in {}", found.trim(), folder.flags().display()),
            Err(_) => fs::write(&path, value).with_context(|| path.display().to_string())?,
        }
    }
    Ok(())
}

fn start_supervisor(folder: &RunFolder) -> anyhow::Result<()> {
    fs::remove_file(folder.started()).ok();
    let path = folder.log(supervisor::NAME);
    let log = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let child = std::process::Command::new(std::env::current_exe()?)
        .arg("supervise")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the supervisor cannot be started")?;
    fs::write(folder.pid_file(supervisor::NAME), child.id().to_string())?;
    Ok(())
}

async fn wait_until_ready(folder: &RunFolder, config: &StackConfig) -> anyhow::Result<()> {
    let ready = tokio::time::timeout(PATIENCE, async {
        loop {
            let Some(pid) = folder.live_pid(supervisor::NAME) else {
                bail!("the supervisor ended:\n{}", tail(folder, supervisor::NAME));
            };
            if folder.started().exists() && status::states(folder, config).await?.iter().all(|state| state.ready) && is_alive(pid) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    match ready.await {
        Ok(result) => result,
        Err(_) => {
            let mut message = format!("not everything was ready within {} s", PATIENCE.as_secs());
            for state in status::states(folder, config).await?.iter().filter(|state| !state.ready) {
                message.push_str(&format!("\n--- {} ({})\n{}", state.name, state.url, tail(folder, &state.name)));
            }
            bail!(message)
        }
    }
}

/// The last lines of a process's log.
fn tail(folder: &RunFolder, process: &str) -> String {
    let text = fs::read_to_string(folder.log(process)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn write_dev_env(folder: &RunFolder, base_url: &str, stores: &plan::Stores, admin_key: &AdminToken) -> anyhow::Result<()> {
    let text = format!(
        "ONERING_BASE_URL={base_url}\nONERING_ADMIN_KEY={}\nDATABASE_URL={}\nREDIS_URL={}\nONERING_FLAGS_DIR={}\n",
        admin_key.expose(),
        stores.database_url,
        stores.redis_url,
        folder.flags().display()
    );
    RunFolder::write_private(&folder.dev_env(), &text)
}

async fn print_addresses(folder: &RunFolder, config: &StackConfig, base_url: &str) -> anyhow::Result<()> {
    println!("\n  partner API        {base_url}/v1/external");
    println!("  API documentation  {base_url}/docs");
    println!("  operator API       {base_url}/v1/admin");
    println!("  monitoring         {base_url}/v1/monitoring/webhooks/metrics");
    println!("  metrics            http://127.0.0.1:{}/metrics (and on every other process)", config.ports.gateway);
    for state in status::states(folder, config).await? {
        println!("  {:<18} {}", state.name, state.url);
    }
    println!("\n  source .run/dev.env   gives scripts the addresses and the admin key; logs are in .run/logs/");
    Ok(())
}
