//! `onering up`: from nothing to a stack that has shown it works.

use std::path::PathBuf;
use std::process::ExitCode;

use onering_settings::load_cli;

use super::admin_key::admin_key;
use super::config::StackConfig;
use super::dev_env::DevEnv;
use super::folder::RunFolder;
use super::launch::{Lifetime, lay_out, start_supervisor, wait_until_ready};
use super::ports::Ports;
use super::{down, status, stores};
use crate::args::{OperatorAccess, Smoke, Up};
use crate::{output, smoke};

/// Starts the dev stack of this folder, anew when it runs, and checks it.
pub(crate) async fn up(options: Up) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::create()?;
    let stopped = down::stop(&folder).await?;
    if let Some(line) = stopped.about_orphans() {
        output::line(&line);
    }
    if stopped.stack {
        output::line("the stack that was running is started anew");
    }
    let config = configure(&options, &folder)?;
    for switch in lay_out(&folder, &config)? {
        output::line(&format!("note: {switch}"));
    }
    output::line(&format!("starting; logs are in {}", folder.logs().display()));
    let mut supervisor = start_supervisor(&folder, Lifetime::Lasting, &[])?;
    if let Err(error) =
        wait_until_ready(&folder, &config, &mut supervisor, |line| output::line(&format!("  {line}"))).await
    {
        // Half a stack is of no use, and would be started again and again.
        down::stop(&folder).await?;
        return Err(error.context("the stack did not start, and nothing of it is left running"));
    }

    let stores = stores::addresses(&folder)?;
    let dev_stack = DevEnv::read(&folder)?.admin_key();
    let admin_key = admin_key(&stores.database_url, dev_stack.as_deref()).await?;
    let base_url = format!("http://127.0.0.1:{}", config.ports.front_door);
    // Where the switches are for the services, which may be elsewhere when `up` was told so.
    let flags =
        std::env::var_os("ONERING_FLAGS_DIR").filter(|path| !path.is_empty()).map_or(folder.flags(), PathBuf::from);
    DevEnv::new(&base_url, &admin_key, &stores, &flags).write(&folder)?;

    let mut code = ExitCode::SUCCESS;
    if !options.no_smoke {
        let access =
            OperatorAccess { backend_url: Some(base_url.parse()?), admin_key: Some(admin_key.expose().to_owned()) };
        code = smoke::run(Smoke { access, webhook_sink: None, bail: false, json: false }).await?;
    }
    print_addresses(&folder, &config, &base_url).await?;
    Ok(code)
}

fn configure(options: &Up, folder: &RunFolder) -> anyhow::Result<StackConfig> {
    let ports = Ports::chosen(load_cli()?.stack_ports);
    let own = own_stores(folder);
    let own_postgres = is_own("DATABASE_URL", own.postgres.as_deref());
    let own_redis = is_own("REDIS_URL", own.redis.as_deref());
    ports.require_free(own_postgres, own_redis)?;
    let further =
        [options.gateways, options.workers, options.admins, options.monitorings].map(|count| usize::from(count) - 1);
    let extra_ports = ports.extra(further.iter().sum())?;
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

/// Where this folder's own stores were at the last start.
struct OwnStores {
    postgres: Option<String>,
    redis: Option<String>,
}

fn own_stores(folder: &RunFolder) -> OwnStores {
    let (Ok(config), Ok(stores)) = (StackConfig::read(folder), stores::addresses(folder)) else {
        return OwnStores { postgres: None, redis: None };
    };
    OwnStores {
        postgres: config.own_postgres.then_some(stores.database_url),
        redis: config.own_redis.then_some(stores.redis_url),
    }
}

/// Whether the stack runs this store itself: no other is named. An address that was sourced from `.run/dev.env` names the
/// stack's own.
fn is_own(variable: &str, own: Option<&str>) -> bool {
    match std::env::var(variable) {
        Ok(given) if !given.is_empty() => Some(given.as_str()) == own,
        _ => true,
    }
}

async fn print_addresses(folder: &RunFolder, config: &StackConfig, base_url: &str) -> anyhow::Result<()> {
    output::line(&format!("\n  partner API        {base_url}/v1/external"));
    output::line(&format!("  API documentation  {base_url}/docs"));
    output::line(&format!("  operator API       {base_url}/v1/admin"));
    output::line(&format!("  monitoring         {base_url}/v1/monitoring/webhooks/metrics"));
    for state in status::states(folder, config).await? {
        output::line(&format!("  {:<18} {}", state.name, state.url));
    }
    output::line("\n  source .run/dev.env   gives scripts the addresses and the admin key; logs are in .run/logs/");
    Ok(())
}
