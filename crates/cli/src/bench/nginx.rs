//! An nginx of the benchmark's own: a receiver and a proxy that nobody here has written. It needs no rights, keeps to a
//! folder of its own and ends with this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_dev_servers::{LoggedChild, Signal, death_signal_prefix, free_port};

use super::http_load::{Connection, WireRequest};
use super::programs;

/// What it answers to whatever is asked.
pub(super) const ANSWER: &str = r#"{"collection":"rings","items":[],"from":"nginx"}"#;
/// What is asked beneath this path goes to the upstream.
pub(super) const PROXIED: &str = "/proxied/";
const STATUS: &str = "/nginx-status";

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const GRACE: Duration = Duration::from_secs(5);

/// A running one.
pub(super) struct Nginx {
    child: LoggedChild,
    address: SocketAddr,
    /// How often its status was asked: these requests are counted too.
    asked: AtomicU64,
}

impl Nginx {
    /// Starts one in this folder, which is made, on a free port.
    pub(super) async fn start(folder: PathBuf, upstream: Option<SocketAddr>) -> anyhow::Result<Self> {
        let Some(program) = programs::find("nginx") else {
            bail!("nginx is not installed: `apt-get install nginx-light` (`make bench` does it)");
        };
        std::fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, configured(&folder, address, upstream, rustix::process::geteuid().is_root()))
            .with_context(|| format!("{} cannot be written", configuration.display()))?;
        let mut words = death_signal_prefix("TERM");
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("-p").arg(&folder).arg("-c").arg(&configuration);
        // Until it has read its configuration it would otherwise write to the system's log.
        command.arg("-e").arg(folder.join("error.log"));
        command.envs(programs::library_path(&program).map(|path| ("LD_LIBRARY_PATH", path)));
        let mut child = LoggedChild::spawn(command, &folder.join("output.log"))?;
        wait_until_listening(&mut child, address, &folder).await?;
        Ok(Self { child, address, asked: AtomicU64::new(0) })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its first process.
    pub(super) fn pid(&self) -> i32 {
        self.child.pid().cast_signed()
    }

    /// Requests it has answered, by its own count.
    pub(super) async fn count(&self) -> anyhow::Result<u64> {
        let request = WireRequest::new("GET", STATUS, self.address, &["Connection: close".to_owned()], b"");
        let mut connection = Connection::open(self.address).await?;
        let page = connection.body(&request).await?;
        let requests = requests_in(&String::from_utf8_lossy(page)).context("the status page of nginx has no count")?;
        Ok(requests.saturating_sub(self.asked.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.end_blocking(Signal::TERM, GRACE);
    }
}

async fn wait_until_listening(child: &mut LoggedChild, address: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let listening = async {
        loop {
            if Connection::open(address).await.is_ok() {
                return Ok(());
            }
            if child.exited().is_some() {
                let log = std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
                bail!("nginx ended at once:\n{}{log}", child.tail());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.context("nginx does not listen")?
}

/// Everything it is told. With root's rights it would change to an account that is called differently on each system, so it is
/// told to stay: it serves constants, on 127.0.0.1.
fn configured(folder: &Path, address: SocketAddr, upstream: Option<SocketAddr>, is_root: bool) -> String {
    let folder = folder.display();
    let user = if is_root { "user root;\n" } else { "" };
    let (servers, proxy) = upstream.map_or_else(Default::default, |upstream| {
        (
            format!("  upstream behind {{ server {upstream}; keepalive 64; }}\n"),
            format!(
                "    location {PROXIED} {{\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
                 proxy_pass http://behind/;\n    }}\n"
            ),
        )
    });
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\n{user}worker_processes auto;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 4096; }}\nhttp {{\n{temporary}  access_log off;\n  keepalive_requests 1000000000;\n  \
         keepalive_timeout 600s;\n  default_type application/json;\n{servers}  server {{\n    listen {address};\n    \
         location = {STATUS} {{ stub_status; }}\n{proxy}    location / {{ return 200 '{ANSWER}'; }}\n  }}\n}}\n"
    )
}

/// The third number of the line that begins with the accepted connections.
fn requests_in(page: &str) -> Option<u64> {
    page.lines().find_map(|line| {
        let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        (numbers.len() == 3).then(|| numbers[2])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_the_status_page() {
        let page = "Active connections: 2 \nserver accepts handled requests\n 16 16 31070 \nReading: 0 Writing: 1 Waiting: 1 \n";
        assert_eq!(requests_in(page), Some(31_070));
        assert_eq!(requests_in("<html>"), None);
    }

    #[test]
    fn nothing_is_written_outside_of_its_folder() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let text = configured(Path::new("/its/folder"), address, Some(address), true);
        for line in
            text.lines().filter(|line| line.contains("_path") || line.contains("_log ") || line.contains("pid "))
        {
            assert!(line.contains("/its/folder/") || line.contains("off;"), "{line}");
        }
        assert!(text.contains("user root;") && !configured(Path::new("/x"), address, None, false).contains("user "));
    }
}
