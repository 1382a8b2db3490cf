//! A private Redis.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ServerError;
use crate::binaries::{Places, Program};
use crate::directory::DirectoryLock;
use crate::orphan::end_orphan;
use crate::process::{LoggedChild, POLL, death_signal_prefix, free_port};

const SERVER: &str = "Redis";
const STOP_GRACE: Duration = Duration::from_secs(10);
const PORT_ATTEMPTS: usize = 10;

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    dir: PathBuf,
    port: Option<u16>,
    append_only: bool,
    tools: Option<PathBuf>,
    deadline: Duration,
    dies_with_parent: bool,
}

impl RedisOptions {
    /// A Redis that keeps its data over restarts (append-only file, written out every second), as in the dev stack.
    pub fn durable(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: None,
            append_only: true,
            tools: None,
            deadline: Duration::from_secs(30),
            dies_with_parent: false,
        }
    }

    /// A Redis that forgets everything when it ends.
    pub fn throw_away(dir: impl Into<PathBuf>) -> Self {
        Self { append_only: false, ..Self::durable(dir) }
    }

    /// Listens on this port. Default: a free one, kept over restarts.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Where packages were unpacked by `install-servers.sh`; looked in last.
    #[must_use]
    pub fn tools(mut self, dir: impl Into<PathBuf>) -> Self {
        self.tools = Some(dir.into());
        self
    }

    /// How long `start` waits until the server answers. Default: 30 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The server ends when this process does, even when it is killed (where `setpriv` exists: Linux).
    #[must_use]
    pub fn dies_with_parent(mut self) -> Self {
        self.dies_with_parent = true;
        self
    }
}

/// A running Redis of ours. Dropping it stops the server.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    program: Program,
    data: PathBuf,
    port: u16,
    process: Option<LoggedChild>,
    _lock: DirectoryLock,
}

/// How one attempt to start ended, other than well.
enum Refusal {
    Port,
    Failed(ServerError),
}

impl Redis {
    /// Starts a server and waits until it answers a PING, that is, until it has loaded its data.
    ///
    /// # Errors
    /// [`ServerError`]; its text says what to do, and holds the end of the server's log where there is one.
    pub async fn start(options: RedisOptions) -> Result<Self, ServerError> {
        let program = Places::of_this_machine(options.tools.as_deref()).redis()?;
        let lock = DirectoryLock::take(&options.dir)?;
        let data = options.dir.join("data");
        std::fs::create_dir_all(&data).map_err(ServerError::io("create the directory", &data))?;
        let data = data.canonicalize().map_err(ServerError::io("resolve", &data))?;
        let recorded = std::fs::read_to_string(options.dir.join("pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = recorded {
            end_orphan(SERVER, pid, &data, Signal::TERM).await?;
        }
        let mut server = Self { options, program, data, port: 0, process: None, _lock: lock };
        server.launch().await?;
        Ok(server)
    }

    /// `redis://127.0.0.1:<port>/`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(LoggedChild::pid)
    }

    /// Where the data lies.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Where the server's log goes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.options.dir.join("redis.log")
    }

    /// How the server ended, if it has ended by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.exited()
    }

    /// Orderly end.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(Signal::TERM, STOP_GRACE).await;
        }
    }

    /// The crash: SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Freezes the server: connections stay open, nothing is answered.
    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::STOP);
        }
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::CONT);
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

    async fn launch(&mut self) -> Result<(), ServerError> {
        let deadline = self.options.deadline;
        let attempts = async {
            let mut ports_left = PORT_ATTEMPTS;
            loop {
                match self.try_once().await {
                    Ok(()) => return Ok(()),
                    Err(Refusal::Port) if self.options.port.is_none() && ports_left > 0 => ports_left -= 1,
                    Err(Refusal::Port) => return Err(ServerError::PortTaken { server: SERVER, port: self.port }),
                    Err(Refusal::Failed(error)) => return Err(error),
                }
            }
        };
        match tokio::time::timeout(deadline, attempts).await {
            Ok(result) => result,
            Err(_) => {
                let tail = self.process.as_ref().map(LoggedChild::tail).unwrap_or_default();
                self.kill9();
                Err(ServerError::NotReady { server: SERVER, after: deadline, log: self.log_path(), tail })
            }
        }
    }

    async fn try_once(&mut self) -> Result<(), Refusal> {
        let log = self.log_path();
        self.port = match self.options.port {
            Some(port) => port,
            None => free_port().map_err(ServerError::io("find a free port for", &log)).map_err(Refusal::Failed)?,
        };
        let process = LoggedChild::spawn(self.command(), &log).map_err(Refusal::Failed)?;
        let pid_path = self.options.dir.join("pid");
        let port = self.port;
        let process = self.process.insert(process);
        std::fs::write(&pid_path, process.pid().to_string())
            .map_err(ServerError::io("write", &pid_path))
            .map_err(Refusal::Failed)?;
        loop {
            if let Some(status) = process.exited() {
                let taken = process.log_of_this_run().contains("Address already in use");
                let tail = process.tail();
                self.process = None;
                return Err(if taken {
                    Refusal::Port
                } else {
                    Refusal::Failed(ServerError::Ended { server: SERVER, status, log, tail })
                });
            }
            if answers_ping(port, process.pid()).await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn command(&self) -> Command {
        let mut argv = if self.options.dies_with_parent { death_signal_prefix("KILL") } else { Vec::new() };
        argv.push(self.program.path.to_string_lossy().into_owned());
        let port = self.port.to_string();
        let append_only = if self.options.append_only { "yes" } else { "no" };
        let data = self.data.to_string_lossy();
        let settings = [
            ("--port", port.as_str()),
            ("--bind", "127.0.0.1"),
            ("--dir", &data),
            ("--save", ""),
            ("--appendonly", append_only),
            // Losing a key to make room would lose work; refusing the write is seen and counted.
            ("--maxmemory-policy", "noeviction"),
            ("--daemonize", "no"),
        ];
        argv.extend(settings.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]));
        let mut argv = argv.into_iter();
        let mut command = Command::new(argv.next().unwrap_or_default());
        command.args(argv).envs(self.program.environment()).current_dir(&self.data);
        command
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            if self.options.append_only {
                process.end_blocking(Signal::TERM, STOP_GRACE);
            } else {
                process.kill();
            }
        }
    }
}

/// Whether the Redis on this port answers, and is the process we started and not somebody else's on a taken port.
async fn answers_ping(port: u16, pid: u32) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"INFO server\r\nPING\r\n").await?;
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        // A server that is still loading its data answers PING with -LOADING.
        while !answer.contains("+PONG") && !answer.contains("-LOADING") && answer.len() < 65_536 {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        Ok::<_, std::io::Error>(answer.contains(&format!("process_id:{pid}\r\n")) && answer.contains("+PONG"))
    };
    tokio::time::timeout(Duration::from_secs(1), ask).await.is_ok_and(|answer| answer.unwrap_or(false))
}
