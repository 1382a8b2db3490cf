//! `onering up`, `status` and `down`: a whole stack, on free ports, in a scratch folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use onering_testkit::{ScratchDir, eventually, free_port, scratch_dir};
use serde_json::Value;

use crate::running::{Ran, command, run};

/// A stack that is started again needs some seconds, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);
const PORTS: [&str; 8] = [
    "ONERING_FRONT_DOOR_PORT",
    "ONERING_GATEWAY_PORT",
    "ONERING_ADMIN_PORT",
    "ONERING_MONITORING_PORT",
    "ONERING_WORKER_PORT",
    "ONERING_PRODUCT_PORT",
    "ONERING_POSTGRES_PORT",
    "ONERING_REDIS_PORT",
];

/// A folder to start a stack in; whatever runs there is stopped at the end.
pub(crate) struct Stack {
    folder: ScratchDir,
    environment: Vec<(&'static str, String)>,
}

impl Stack {
    pub(crate) fn new() -> Self {
        let ports = PORTS.iter().map(|variable| (*variable, free_port().to_string()));
        // What Redis loses when it is killed is sent after one lease, which is to be short here.
        let lease = ("ONERING_WEBHOOKS_LEASE_SECONDS", "5".to_owned());
        Self { folder: scratch_dir("stack"), environment: ports.chain([lease]).collect() }
    }

    /// Adds a variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.folder.path(), &self.environment(), arguments)
    }

    /// Starts the command, without waiting for its end.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = command(self.folder.path(), &self.environment(), arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(".run").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The processes by name, as `status --json` prints them.
    fn status(&self) -> BTreeMap<String, Value> {
        let printed: Value = serde_json::from_str(&self.run(&["status", "--json"]).out).unwrap();
        let processes = printed["processes"].as_array().unwrap();
        processes.iter().map(|process| (process["name"].as_str().unwrap().to_owned(), process.clone())).collect()
    }

    pub(crate) fn pid(&self, process: &str) -> String {
        self.file(&format!("pids/{process}.pid"))
    }

    /// Kills a process as the system does when memory is short, and answers its number.
    fn kill9(&self, process: &str) -> String {
        let pid = self.pid(process);
        let killed = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success(), "{process} ({pid}) was not running");
        pid
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn runs(pid: &str) -> bool {
    // A zombie has no working directory any more.
    fs::read_link(Path::new("/proc").join(pid).join("cwd")).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_starts_survives_its_processes_and_ends() {
    let stack = Stack::new();
    let printed = stack.run(&["up", "--gateways", "2"]).success();
    let passed = "✅ Backend health: PASSED\n✅ API key creation: PASSED\n✅ Rate limit headers: PASSED\n\
        ✅ Webhook subscription: PASSED\n✅ Webhook delivery: PASSED\nTotal: 5/5 PASSED ✅\n";
    assert!(printed.contains(passed), "{printed}");

    let before = stack.status();
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    let expected =
        "admin-1 api-gateway-1 api-gateway-2 delivery-worker-1 front-door monitoring-1 postgres redis sample-product";
    assert_eq!(names.join(" "), expected);
    assert!(before.values().all(|process| process["ready"] == true), "{before:#?}");
    let urls: BTreeSet<&str> = before.values().map(|process| process["url"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), before.len(), "{urls:?}");
    for (name, process) in &before {
        assert_eq!(process["pid"].to_string(), stack.pid(name), "{name}");
    }

    let killed = ["postgres", "redis", "api-gateway-2", "front-door"].map(|name| (name, stack.kill9(name)));
    eventually(PATIENCE, "everything is started again", async || {
        let ran = stack.run(&["status"]);
        let again = killed.iter().all(|(name, pid)| &stack.pid(name) != pid);
        if ran.code == Some(0) && again { Ok(()) } else { Err(ran.out) }
    })
    .await;
    let log = stack.file("logs/supervisor.log");
    for (name, _) in &killed {
        assert!(log.contains(&format!("{name} ended (signal: 9")), "{log}");
    }
    // Without options: the running stack is found by what it left in its folder.
    assert!(stack.run(&["smoke"]).success().ends_with("Total: 5/5 PASSED ✅\n"));
    assert!(stack.run(&["audit"]).success().contains("The ledger balances ✅"));

    assert_eq!(stack.run(&["down"]).code, Some(0));
    for (name, process) in stack.status() {
        assert_eq!(process["pid"], Value::Null, "{name}");
    }
    assert!(!killed.iter().any(|(_, pid)| runs(pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_leaves_nothing_that_up_and_down_cannot_end() {
    let stack = Stack::new();
    stack.run(&["up", "--no-smoke"]).success();
    let (secrets, dev_env) = (stack.file("secrets.json"), stack.file("dev.env"));
    for name in ["secrets.json", "dev.env", "stores.json"] {
        let mode = fs::metadata(stack.folder.path().join(".run").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let pids = || -> Vec<String> { stack.status().keys().map(|name| stack.pid(name)).collect() };
    let orphans = pids();
    stack.kill9("supervisor");
    assert!(orphans.iter().all(|pid| runs(pid)));
    let printed = stack.run(&["up", "--no-smoke"]).success();
    assert!(printed.contains("ended what a killed supervisor had left running"), "{printed}");
    assert!(!orphans.iter().any(|pid| runs(pid)));
    assert_eq!((stack.file("secrets.json"), stack.file("dev.env")), (secrets, dev_env), "both are kept");

    let orphans = pids();
    stack.kill9("supervisor");
    let printed = stack.run(&["down"]).success();
    assert!(printed.contains("api-gateway-1") && printed.contains("postgres"), "{printed}");
    assert!(!orphans.iter().any(|pid| runs(pid)));
    assert_eq!(stack.run(&["down"]).success(), "no stack is running here\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_stack_from_starting_is_named() {
    let mut stack = Stack::new();
    let ran = stack.run(&["status"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("onering up"), "{ran:?}");
    assert_eq!(stack.run(&["down"]).success(), "no stack was started here\n");

    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let admin = stack.environment.iter_mut().find(|(name, _)| *name == "ONERING_ADMIN_PORT").unwrap();
    let free = std::mem::replace(&mut admin.1, taken.local_addr().unwrap().port().to_string());
    let ran = stack.run(&["up"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("ONERING_ADMIN_PORT") && ran.err.contains("is taken"), "{ran:?}");

    stack.environment.iter_mut().find(|(name, _)| *name == "ONERING_ADMIN_PORT").unwrap().1 = free;
    stack.environment.push(("ONERING_WEBHOOKS_BACKOFF_SECONDS", "soon".to_owned()));
    let ran = stack.run(&["up"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("ONERING_WEBHOOKS_BACKOFF_SECONDS") && ran.err.contains("soon"), "{ran:?}");
    assert!(stack.status().values().all(|process| process["pid"] == Value::Null), "nothing is left running");
}
