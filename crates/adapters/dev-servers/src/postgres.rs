//! A private Postgres.

mod cluster;
mod options;
mod pid_file;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;

pub use options::{Auth, Durability, PostgresOptions};

use self::cluster::{Cluster, USER};
use self::pid_file::PidFile;
use crate::ServerError;
use crate::binaries::{Places, Program};
use crate::directory::DirectoryLock;
use crate::orphan::end_orphan;
use crate::process::{LoggedChild, POLL, death_signal_prefix, free_port};

const SERVER: &str = "Postgres";
/// A fast shutdown writes a checkpoint; this is ample for a dev database.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// The longest path of a Unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 107;
/// How often another free port is tried when the one found was taken meanwhile.
const PORT_ATTEMPTS: usize = 10;

/// A running Postgres of ours. Dropping it stops the server.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    program: Program,
    cluster: Cluster,
    port: u16,
    process: Option<LoggedChild>,
    _lock: DirectoryLock,
}

/// How one attempt to start ended, other than well.
enum Refusal {
    /// The port is taken.
    Port,
    /// Processes of the server that was killed still hold its shared memory; they end by themselves.
    Lingering,
    Failed(ServerError),
}

impl Postgres {
    /// Makes the cluster when there is none, starts it and waits until it accepts connections.
    ///
    /// # Errors
    /// [`ServerError`]; its text says what to do, and holds the end of the server's log where there is one.
    pub async fn start(options: PostgresOptions) -> Result<Self, ServerError> {
        let program = Places::of_this_machine(options.tools.as_deref()).postgres()?;
        let lock = DirectoryLock::take(&options.dir)?;
        let cluster = Cluster::ensure(&options, &program).await?;
        if let Some(notice) = &cluster.placement.notice {
            tracing::warn!("{notice}");
        }
        clear_stale(&cluster.placement.data).await?;
        let mut server = Self { options, program, cluster, port: 0, process: None, _lock: lock };
        server.launch().await?;
        Ok(server)
    }

    /// The URL of a database of this server, with the password in it if there is one.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let password = self.cluster.password.as_ref().map_or_else(String::new, |password| format!(":{}", password.0));
        format!("postgres://{USER}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let process = self.process.as_ref()?;
        if self.options.wrapper.is_none() {
            return Some(process.pid());
        }
        PidFile::read(self.data_dir()).map(|file| file.pid)
    }

    /// Where the data lies; not under the directory asked for when [`Self::notice`] says so.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.cluster.placement.data
    }

    /// Something the user should know, in a sentence: where the data went and why.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.cluster.placement.notice.as_deref()
    }

    /// How the server ended, if it has ended by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.exited()
    }

    /// Fast shutdown: open transactions are rolled back, everything is written.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(Signal::INT, STOP_GRACE).await;
        }
    }

    /// The crash: SIGKILL to the postmaster and all its processes, open connections included.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_family();
        }
    }

    /// Stops the server if it runs, and starts it on the same data and port.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await;
        self.options.port = Some(self.port);
        self.launch().await
    }

    /// Lets go of a server started [`PostgresOptions::under`] a wrapper: it goes on without us.
    pub fn detach(mut self) {
        self.process = None;
    }

    /// Ends the server at once and removes its data and its directory. For throw-away clusters.
    pub fn destroy(mut self) {
        if let Some(mut process) = self.process.take() {
            process.end_blocking(Signal::QUIT, STOP_GRACE);
        }
        let moved = self.cluster.placement.notice.is_some().then(|| self.data_dir().parent()).flatten();
        for dir in [Some(self.options.dir.as_path()), moved].into_iter().flatten() {
            if let Err(error) = std::fs::remove_dir_all(dir) {
                tracing::warn!(%error, dir = %dir.display(), "could not remove a throw-away cluster");
            }
        }
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        let deadline = self.options.deadline;
        let mut last = None;
        let attempts = async {
            let mut ports_left = PORT_ATTEMPTS;
            loop {
                match self.try_once(&mut last).await {
                    Ok(()) => return Ok(()),
                    Err(Refusal::Lingering) => tokio::time::sleep(POLL * 4).await,
                    Err(Refusal::Port) if self.options.port.is_none() && ports_left > 0 => ports_left -= 1,
                    Err(Refusal::Port) => return Err(ServerError::PortTaken { server: SERVER, port: self.port }),
                    Err(Refusal::Failed(error)) => return Err(error),
                }
            }
        };
        match tokio::time::timeout(deadline, attempts).await {
            Ok(result) => result,
            Err(_) => {
                let tail = self.process.as_ref().map(LoggedChild::tail).or(last).unwrap_or_default();
                self.abandon();
                Err(ServerError::NotReady { server: SERVER, after: deadline, log: self.log_path(), tail })
            }
        }
    }

    async fn try_once(&mut self, last_tail: &mut Option<String>) -> Result<(), Refusal> {
        let log = self.log_path();
        self.port = match self.options.port {
            Some(port) => port,
            None => free_port().map_err(ServerError::io("find a free port for", &log)).map_err(Refusal::Failed)?,
        };
        let process = LoggedChild::spawn(self.command(), &log).map_err(Refusal::Failed)?;
        let wrapped = self.options.wrapper.is_some();
        let data = self.data_dir().to_owned();
        let process = self.process.insert(process);
        let pid = process.pid();
        loop {
            if let Some(status) = process.exited() {
                let text = process.log_of_this_run();
                let tail = process.tail();
                *last_tail = Some(tail.clone());
                self.process = None;
                return Err(explain_exit(&text).unwrap_or(Refusal::Failed(ServerError::Ended {
                    server: SERVER,
                    status,
                    log,
                    tail,
                })));
            }
            // The file of a crashed server stays; only one written by our process counts.
            if PidFile::read(&data)
                .is_some_and(|file| file.ready && file.port == Some(self.port) && (wrapped || file.pid == pid))
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn command(&self) -> Command {
        let account = self.cluster.placement.account;
        let mut argv: Vec<String> = Vec::new();
        if let Some(wrapper) = &self.options.wrapper {
            argv.extend(wrapper.iter().cloned());
            argv.extend(account.prefix());
        }
        if self.options.dies_with_parent || self.options.wrapper.is_some() {
            argv.extend(death_signal_prefix("QUIT"));
        }
        argv.push(self.program.path.to_string_lossy().into_owned());
        argv.extend([
            "-D".to_owned(),
            self.data_dir().to_string_lossy().into_owned(),
            "-p".to_owned(),
            self.port.to_string(),
        ]);
        let sockets = format!("unix_socket_directories={}", socket_directory(self.data_dir()));
        let settings = self.options.effective_settings().into_iter().map(|(name, value)| format!("{name}={value}"));
        argv.extend(settings.chain([sockets]).flat_map(|setting| ["-c".to_owned(), setting]));
        let mut argv = argv.into_iter();
        let mut command = Command::new(argv.next().unwrap_or_default());
        command.args(argv).envs(self.program.environment()).current_dir("/");
        if self.options.wrapper.is_some() {
            command.process_group(0);
        } else {
            account.apply(&mut command);
        }
        command
    }

    /// Where the server's log goes.
    #[must_use]
    pub fn log_path(&self) -> std::path::PathBuf {
        self.options.dir.join("postgres.log")
    }

    /// Ends a server that did not get ready.
    fn abandon(&mut self) {
        if let Some(mut process) = self.process.take() {
            if self.options.wrapper.is_some() {
                process.kill_group();
            } else {
                process.kill();
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A throw-away cluster has nothing to write; the durable one gets its checkpoint.
        let signal = match self.options.durability {
            Durability::Durable => Signal::INT,
            Durability::ProcessCrashOnly => Signal::QUIT,
        };
        if let Some(mut process) = self.process.take() {
            process.end_blocking(signal, STOP_GRACE);
        }
    }
}

/// Ends a server that outlived its owner, and removes a pid file that names a stranger, which would keep ours from
/// starting. The file of a dead server stays: Postgres uses it to see whether its shared memory is still in use.
async fn clear_stale(data: &Path) -> Result<(), ServerError> {
    let Some(file) = PidFile::read(data) else { return Ok(()) };
    if end_orphan(SERVER, file.pid, data, Signal::INT).await? {
        return Ok(());
    }
    let alive = i32::try_from(file.pid).ok().and_then(rustix::process::Pid::from_raw);
    if alive.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()) {
        let path = data.join("postmaster.pid");
        std::fs::remove_file(&path).map_err(ServerError::io("remove", &path))?;
    }
    Ok(())
}

/// The data directory, unless the socket's path would be longer than the system allows; then none.
fn socket_directory(data: &Path) -> String {
    let longest = data.join(".s.PGSQL.65535.lock");
    if longest.as_os_str().len() <= SOCKET_PATH_MAX { data.to_string_lossy().into_owned() } else { String::new() }
}

/// What the log of a server that ended while starting says, if it is something we can deal with.
fn explain_exit(log: &str) -> Option<Refusal> {
    if log.contains("Address already in use") {
        return Some(Refusal::Port);
    }
    let lingering = ["pre-existing shared memory block", "lock file \"postmaster.pid\" already exists"];
    lingering.iter().any(|text| log.contains(text)).then_some(Refusal::Lingering)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_no_socket() {
        assert_eq!(socket_directory(Path::new("/short/data")), "/short/data");
        assert_eq!(socket_directory(&Path::new("/").join("d".repeat(100))), "");
    }
}
