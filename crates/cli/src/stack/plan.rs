//! From the stack's configuration to its processes: names, programs, environment and addresses. Pure, so that what will be
//! started can be tested without starting it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::StackConfig;
use super::folder::RunFolder;

/// One process to keep running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessSpec {
    /// Such as `api-gateway-1`: the name of its log and pid file.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Added to the supervisor's own environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it answers; `/readyz` beneath it tells whether it is ready.
    pub(crate) url: String,
}

/// Where the stores are.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
}

/// What the services of a dev stack are told unless the environment of `up` says otherwise.
fn dev_defaults(folder: &RunFolder, stores: &Stores, secrets_keys: &str) -> BTreeMap<String, String> {
    let path = |path: PathBuf| path.display().to_string();
    [
        ("ONERING_PROFILE", "dev".to_owned()),
        ("ONERING_FLAGS_DIR", path(folder.flags())),
        ("ONERING_ROUTES_FILE", path(folder.routes())),
        ("ONERING_SECRETS_KEYS", secrets_keys.to_owned()),
        ("ONERING_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
        ("ONERING_WEBHOOKS_ALLOW_HTTP", "1".to_owned()),
        ("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8,::1/128".to_owned()),
        ("ONERING_MONITORING_OPEN", "1".to_owned()),
        ("DATABASE_URL", stores.database_url.clone()),
        ("REDIS_URL", stores.redis_url.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Every process but the stores, in the order they are started.
pub(crate) fn processes(
    config: &StackConfig,
    folder: &RunFolder,
    stores: &Stores,
    secrets_keys: &str,
    given: &BTreeMap<String, String>,
    binaries: &Path,
) -> Vec<ProcessSpec> {
    let mut defaults = dev_defaults(folder, stores, secrets_keys);
    defaults.retain(|name, _| matches!(name.as_str(), "DATABASE_URL" | "REDIS_URL") || !given.contains_key(name));

    let mut extra_ports = config.extra_ports.iter().copied();
    let mut services = Vec::new();
    for (kind, count, first_port) in [
        ("api-gateway", config.gateways, config.ports.gateway),
        ("admin", config.admins, config.ports.admin),
        ("monitoring", config.monitorings, config.ports.monitoring),
        ("delivery-worker", config.workers, config.ports.worker),
    ] {
        for replica in 1..=count {
            let port = if replica == 1 { first_port } else { extra_ports.next().unwrap_or(0) };
            let name = format!("{kind}-{replica}");
            let mut environment = defaults.clone();
            environment.insert("ONERING_BIND".to_owned(), format!("127.0.0.1:{port}"));
            environment.insert("ONERING_INSTANCE".to_owned(), name.clone());
            services.push(ProcessSpec {
                name,
                program: binaries.join(kind),
                arguments: Vec::new(),
                environment,
                url: format!("http://127.0.0.1:{port}"),
            });
        }
    }
    let product = command_process("sample-product", config.ports.product, binaries, Vec::new());
    let mut routes = Vec::new();
    for (option, prefix) in [("--gateway", "api-gateway-"), ("--admin", "admin-"), ("--monitoring", "monitoring-")] {
        for service in services.iter().filter(|service| service.name.starts_with(prefix)) {
            routes.extend([option.to_owned(), service.url.clone()]);
        }
    }
    let front_door = command_process("front-door", config.ports.front_door, binaries, routes);
    std::iter::once(product).chain(services).chain(std::iter::once(front_door)).collect()
}

/// A helper process of the stack that is part of this command.
fn command_process(name: &str, port: u16, binaries: &Path, further: Vec<String>) -> ProcessSpec {
    let mut arguments = vec![name.to_owned(), "--port".to_owned(), port.to_string()];
    arguments.extend(further);
    ProcessSpec {
        name: name.to_owned(),
        program: binaries.join("onering"),
        arguments,
        environment: BTreeMap::new(),
        url: format!("http://127.0.0.1:{port}"),
    }
}

/// The route table of the dev stack: the four product paths of the partner API, to the sample product.
pub(crate) fn route_table(product_port: u16) -> String {
    let mut table = String::from(
        "# Which paths of the partner API go to the product. Read again when it changes; what it does not name is not forwarded.\n",
    );
    for collection in ["rings", "drafts", "ledger", "enforcement"] {
        for (access, methods) in [("read", "\"GET\""), ("write", "\"POST\"")] {
            table.push_str(&format!(
                "\n[[route]]\nprefix = \"/v1/external/{collection}\"\nupstream = \"http://127.0.0.1:{product_port}/{collection}\"\n\
                 methods = [{methods}]\nscope = \"{access}:{collection}\"\ncost = 1\ntimeout_seconds = 10\n\
                 body_cap_bytes = 1048576\n"
            ));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::ports::Ports;
    use super::*;

    fn plan(gateways: u16, workers: u16, given: &[(&str, &str)]) -> Vec<ProcessSpec> {
        let ports = Ports {
            front_door: 8000,
            gateway: 8001,
            admin: 8002,
            monitoring: 8003,
            worker: 8004,
            product: 8090,
            postgres: 8432,
            redis: 8379,
        };
        let config = StackConfig {
            gateways,
            workers,
            admins: 1,
            monitorings: 1,
            ports,
            extra_ports: vec![8005, 8006, 8007],
            own_postgres: true,
            own_redis: true,
        };
        let directory = tempfile::tempdir().unwrap();
        let folder = RunFolder::at(directory.path().join(".run")).unwrap();
        let stores = Stores { database_url: "postgres://db".to_owned(), redis_url: "redis://r".to_owned() };
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        processes(&config, &folder, &stores, "dev1:key", &given, Path::new("/bin"))
    }

    #[test]
    fn replicas_get_ports_of_their_own_and_the_front_door_knows_every_gateway() {
        let processes = plan(2, 3, &[]);
        let urls: std::collections::BTreeSet<&str> = processes.iter().map(|process| process.url.as_str()).collect();
        assert_eq!(urls.len(), processes.len(), "two processes share an address: {processes:#?}");
        let front_door = processes.last().unwrap();
        assert_eq!(front_door.name, "front-door");
        assert_eq!(front_door.arguments.iter().filter(|argument| *argument == "--gateway").count(), 2);
        assert_eq!(processes.iter().filter(|process| process.name.starts_with("delivery-worker-")).count(), 3);
    }

    #[test]
    fn what_up_was_given_is_not_overwritten() {
        let processes = plan(1, 1, &[("ONERING_WEBHOOKS_ALLOW_HTTP", "0")]);
        let worker = processes.iter().find(|process| process.name == "delivery-worker-1").unwrap();
        assert!(!worker.environment.contains_key("ONERING_WEBHOOKS_ALLOW_HTTP"));
        assert_eq!(worker.environment["DATABASE_URL"], "postgres://db");
    }
}
