//! From the stack's configuration to its processes: names, programs, environment and addresses. Pure, so that what will be
//! started can be tested without starting it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::StackConfig;
use super::folder::RunFolder;

/// One process of the stack beside the stores: what it is called and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    kind: Kind,
    /// Such as `api-gateway-1`: the name of its log and pid file.
    pub(crate) name: String,
    /// On 127.0.0.1.
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SampleProduct,
    Gateway,
    Admin,
    Monitoring,
    Worker,
    FrontDoor,
}

impl Kind {
    /// The program, or the subcommand of this one.
    const fn program(self) -> &'static str {
        match self {
            Self::SampleProduct => "sample-product",
            Self::Gateway => "api-gateway",
            Self::Admin => "admin",
            Self::Monitoring => "monitoring",
            Self::Worker => "delivery-worker",
            Self::FrontDoor => "front-door",
        }
    }
}

impl Member {
    /// Where it answers; `/readyz` beneath it tells whether it is ready.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// One process to keep running.
pub(crate) struct ProcessSpec {
    /// As its [`Member`].
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Added to the supervisor's own environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Where the stores are; the addresses hold their passwords.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stores {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
}

/// What a stack's processes are told beside their ports.
pub(crate) struct Surroundings<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) stores: &'a Stores,
    /// Value of ONERING_SECRETS_KEYS.
    pub(crate) secrets_keys: &'a str,
    /// Variables `up` was given; they win over the dev stack's defaults.
    pub(crate) given: &'a BTreeMap<String, String>,
    /// The folder of the programs.
    pub(crate) binaries: &'a Path,
}

impl Surroundings<'_> {
    /// What the services are told unless the environment of `up` says otherwise.
    fn service_environment(&self) -> BTreeMap<String, String> {
        let path = |path: PathBuf| path.display().to_string();
        let defaults = [
            ("ONERING_PROFILE", "dev".to_owned()),
            ("ONERING_FLAGS_DIR", path(self.folder.flags())),
            ("ONERING_ROUTES_FILE", path(self.folder.routes())),
            ("ONERING_SECRETS_KEYS", self.secrets_keys.to_owned()),
            ("ONERING_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
            ("ONERING_WEBHOOKS_ALLOW_HTTP", "1".to_owned()),
            ("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8,::1/128".to_owned()),
            ("ONERING_MONITORING_OPEN", "1".to_owned()),
        ];
        let stores = [("DATABASE_URL", &self.stores.database_url), ("REDIS_URL", &self.stores.redis_url)];
        defaults
            .into_iter()
            .filter(|(name, _)| !self.given.contains_key(*name))
            .chain(stores.map(|(name, url)| (name, url.clone())))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Every process but the stores, in the order they are started.
pub(crate) fn members(config: &StackConfig) -> Vec<Member> {
    let single = |kind: Kind, port| Member { kind, name: kind.program().to_owned(), port };
    let mut extra_ports = config.extra_ports.iter().copied();
    let mut members = vec![single(Kind::SampleProduct, config.ports.product)];
    for (kind, count, first_port) in [
        (Kind::Gateway, config.gateways, config.ports.gateway),
        (Kind::Admin, config.admins, config.ports.admin),
        (Kind::Monitoring, config.monitorings, config.ports.monitoring),
        (Kind::Worker, config.workers, config.ports.worker),
    ] {
        for replica in 1..=count {
            // The configuration has as many extra ports as there are further replicas.
            let port = if replica == 1 { first_port } else { extra_ports.next().unwrap_or_default() };
            members.push(Member { kind, name: format!("{}-{replica}", kind.program()), port });
        }
    }
    members.push(single(Kind::FrontDoor, config.ports.front_door));
    members
}

/// How every process but the stores is started.
pub(crate) fn processes(config: &StackConfig, surroundings: &Surroundings<'_>) -> Vec<ProcessSpec> {
    let members = members(config);
    let of_services = surroundings.service_environment();
    members.iter().map(|member| process(member, &members, &of_services, surroundings.binaries)).collect()
}

fn process(member: &Member, all: &[Member], of_services: &BTreeMap<String, String>, binaries: &Path) -> ProcessSpec {
    let name = member.name.clone();
    if matches!(member.kind, Kind::SampleProduct | Kind::FrontDoor) {
        let mut arguments = vec![name.clone(), "--port".to_owned(), member.port.to_string()];
        if member.kind == Kind::FrontDoor {
            arguments.extend(services_behind(all));
        }
        return ProcessSpec { name, program: binaries.join("onering"), arguments, environment: BTreeMap::new() };
    }
    let mut environment = of_services.clone();
    environment.insert("ONERING_BIND".to_owned(), format!("127.0.0.1:{}", member.port));
    environment.insert("ONERING_INSTANCE".to_owned(), name.clone());
    ProcessSpec { name, program: binaries.join(member.kind.program()), arguments: Vec::new(), environment }
}

/// The front door's options: every replica of every service it routes to.
fn services_behind(all: &[Member]) -> Vec<String> {
    let option = |kind| match kind {
        Kind::Gateway => Some("--gateway"),
        Kind::Admin => Some("--admin"),
        Kind::Monitoring => Some("--monitoring"),
        Kind::SampleProduct | Kind::Worker | Kind::FrontDoor => None,
    };
    all.iter().filter_map(|member| Some([option(member.kind)?.to_owned(), member.url()])).flatten().collect()
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
    use std::collections::BTreeSet;

    use super::super::ports::Ports;
    use super::*;

    fn plan(gateways: u16, workers: u16, given: &[(&str, &str)]) -> Vec<ProcessSpec> {
        let config = StackConfig {
            gateways,
            workers,
            admins: 1,
            monitorings: 1,
            ports: Ports::standard(),
            extra_ports: vec![8005, 8006, 8007],
            own_postgres: true,
            own_redis: true,
        };
        let directory = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            folder: &RunFolder::create_at(directory.path().join(".run")).unwrap(),
            stores: &Stores { database_url: "postgres://db".to_owned(), redis_url: "redis://r".to_owned() },
            secrets_keys: "dev1:key",
            given: &given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            binaries: Path::new("/bin"),
        };
        processes(&config, &surroundings)
    }

    fn named<'a>(processes: &'a [ProcessSpec], name: &str) -> &'a ProcessSpec {
        processes.iter().find(|process| process.name == name).unwrap()
    }

    #[test]
    fn replicas_get_ports_of_their_own_and_the_front_door_knows_every_gateway() {
        let processes = plan(2, 3, &[]);
        let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        let expected = "sample-product api-gateway-1 api-gateway-2 admin-1 monitoring-1 delivery-worker-1 \
            delivery-worker-2 delivery-worker-3 front-door";
        assert_eq!(names.join(" "), expected);
        let binds: Vec<&String> =
            processes.iter().filter_map(|process| process.environment.get("ONERING_BIND")).collect();
        assert_eq!(binds.iter().collect::<BTreeSet<_>>().len(), 7, "two processes share an address: {binds:?}");
        let front_door = named(&processes, "front-door").arguments.join(" ");
        let expected = "front-door --port 8000 --gateway http://127.0.0.1:8001 --gateway http://127.0.0.1:8005 \
            --admin http://127.0.0.1:8002 --monitoring http://127.0.0.1:8003";
        assert_eq!(front_door, expected);
    }

    #[test]
    fn what_up_was_given_is_not_overwritten() {
        let processes = plan(1, 1, &[("ONERING_WEBHOOKS_ALLOW_HTTP", "0")]);
        let worker = named(&processes, "delivery-worker-1");
        assert!(!worker.environment.contains_key("ONERING_WEBHOOKS_ALLOW_HTTP"));
        assert_eq!(worker.environment["DATABASE_URL"], "postgres://db");
        assert_eq!(worker.environment["ONERING_PROFILE"], "dev");
    }

    #[test]
    fn only_services_get_the_stacks_secrets() {
        let processes = plan(1, 1, &[]);
        assert!(named(&processes, "front-door").environment.is_empty());
        assert!(named(&processes, "sample-product").environment.is_empty());
    }
}
