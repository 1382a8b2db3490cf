//! A binary of the workspace, run as users run it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use onering_dev_servers::{LoggedChild, Signal, death_signal_prefix};

use crate::eventually::eventually;
use crate::http_client::http_client;
use crate::metrics::metric;
use crate::ports::free_port;
use crate::run_directory::{ScratchDir, profile_directory, scratch_dir};

/// How long a service may take until it is ready.
const START_WAIT: Duration = Duration::from_secs(60);
/// DESIGN gives a service 25 s to finish what it has begun.
const STOP_WAIT: Duration = Duration::from_secs(40);
/// What a service gets of our environment: nothing that could change what it does.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE", "LD_LIBRARY_PATH"];

/// How to start a service.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    binary: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: Option<u16>,
}

impl ServiceOptions {
    /// The binary called `binary`, with an empty environment.
    #[must_use]
    pub fn of(binary: &str) -> Self {
        Self { binary: binary.to_owned(), arguments: Vec::new(), environment: Vec::new(), port: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Listens on this port, given as `ONERING_BIND`. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts the service and waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When the binary is not built, or the service ends or does not get ready in a minute; the message has its log.
    pub async fn start(self) -> ServiceProcess {
        let mut service = self.spawn();
        service.wait_ready().await;
        service
    }

    /// Starts the service without waiting, as for one that is expected to refuse its settings.
    ///
    /// # Panics
    /// When the binary is not built.
    #[must_use]
    pub fn spawn(self) -> ServiceProcess {
        let program = binary_path(&self.binary);
        let port = self.port.unwrap_or_else(free_port);
        let scratch = scratch_dir(&self.binary);
        let log = scratch.path().join("log");
        let child = LoggedChild::spawn(self.command(&program, port), &log)
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        ServiceProcess { options: self, program, port, child, log, _scratch: scratch }
    }

    fn command(&self, program: &Path, port: u16) -> Command {
        let mut argv: Vec<PathBuf> = death_signal_prefix("KILL").into_iter().map(PathBuf::from).collect();
        argv.push(program.to_owned());
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).args(&self.arguments).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("ONERING_BIND", format!("127.0.0.1:{port}"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A binary of the workspace, where cargo puts those of the profile this program was built with.
///
/// # Panics
/// When it is not built; the message says what to do.
#[must_use]
pub fn binary_path(binary: &str) -> PathBuf {
    let profile =
        profile_directory().unwrap_or_else(|| panic!("this program does not run from a cargo target directory"));
    let path = profile.join(binary);
    assert!(
        path.is_file(),
        "{} is not built. `make test` builds it first; by hand: cargo build --bin {binary}",
        path.display()
    );
    path
}

/// A running service. It ends with the test, also when that is killed. When the test fails its log is printed.
#[derive(Debug)]
pub struct ServiceProcess {
    options: ServiceOptions,
    program: PathBuf,
    port: u16,
    child: LoggedChild,
    log: PathBuf,
    _scratch: ScratchDir,
}

impl ServiceProcess {
    /// `http://127.0.0.1:<port><path>`; the path begins with a slash, or is empty.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// All it has written so far, over all its runs.
    #[must_use]
    pub fn logs(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A figure of its `/metrics`, as [`metric`] reads it.
    ///
    /// # Panics
    /// When `/metrics` does not answer.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let answer = http_client().get(self.url("/metrics")).send().await.expect("/metrics answers");
        metric(&answer.text().await.expect("/metrics is text"), name, labels)
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When the process ends or a minute passes; the message has its log.
    pub async fn wait_ready(&mut self) {
        let (client, url, what) = (http_client(), self.url("/readyz"), format!("{} is ready", self.options.binary));
        let look = async || {
            if let Some(status) = self.child.exited() {
                panic!("{} ended while starting ({status}):\n{}", self.options.binary, self.child.tail());
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    Err(format!("/readyz answers {status}: {}", answer.text().await.unwrap_or_default()))
                }
                Err(_) => Err("/readyz does not answer".to_owned()),
            }
        };
        eventually(START_WAIT, &what, look).await;
    }

    /// SIGTERM; waits for the end.
    ///
    /// # Panics
    /// When it does not end in 40 s.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_exit().await
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.child.signal(signal);
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.child.kill();
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not in 40 s.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.options.binary);
        eventually(STOP_WAIT, &what, async || self.child.exited()).await
    }

    /// Sets a variable for its next starts.
    pub fn set_env(&mut self, name: &str, value: &str) {
        // The last one counts.
        self.options.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.exited().is_none()
    }

    /// Kills it if it runs and starts it again on the same port with the same environment; waits until it is ready.
    ///
    /// # Panics
    /// As [`ServiceOptions::start`].
    pub async fn restart(&mut self) {
        self.kill9();
        let command = self.options.command(&self.program, self.port);
        self.child = LoggedChild::spawn(command, &self.log)
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program.display()));
        self.wait_ready().await;
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        self.child.kill();
        if std::thread::panicking() {
            let logs = self.logs();
            let lines: Vec<&str> = logs.lines().collect();
            let tail = lines[lines.len().saturating_sub(200)..].join("\n");
            eprintln!("── log of {} on port {} ──\n{tail}\n──", self.options.binary, self.port);
        }
    }
}
