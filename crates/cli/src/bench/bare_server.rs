//! The least an HTTP server of the same framework does: it answers constants and counts what is posted. The reference for what
//! the gateway decides, and a receiver of webhooks; a process of its own (`onering bench-bare`), so that what it uses is told apart
//! from what the load uses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, bail};
use onering_dev_servers::{LoggedChild, Signal, death_signal_prefix, free_port};

use super::http_load::{Connection, WireRequest};
use crate::args::BenchBare;

/// The path of the constant answer.
pub(super) const ANSWER: &str = "/answer";
const COUNT: &str = "/count";

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const GRACE: Duration = Duration::from_secs(5);

/// `onering bench-bare`: serves until it is told to stop.
pub(crate) async fn run(options: BenchBare) -> anyhow::Result<ExitCode> {
    let posted = Arc::new(AtomicU64::new(0));
    let body = web::Bytes::from("x".repeat(options.body_bytes));
    let filling = "x".repeat(options.header_bytes);
    HttpServer::new(move || {
        let (count, posted) = (Arc::clone(&posted), Arc::clone(&posted));
        let (body, filling) = (body.clone(), filling.clone());
        let answer = move || {
            let mut response = HttpResponse::Ok();
            response.content_type("application/json");
            if !filling.is_empty() {
                response.insert_header(("x-filling", filling.as_str()));
            }
            std::future::ready(response.body(body.clone()))
        };
        App::new()
            .route(ANSWER, web::get().to(answer))
            .route(
                COUNT,
                web::get().to(move || {
                    let text = count.load(Ordering::Relaxed).to_string();
                    async move { HttpResponse::Ok().body(text) }
                }),
            )
            .default_service(web::to(move |_: web::Bytes| {
                posted.fetch_add(1, Ordering::Relaxed);
                async { HttpResponse::Ok().finish() }
            }))
    })
    .shutdown_timeout(1)
    .bind((Ipv4Addr::LOCALHOST, options.port))?
    .run()
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// A running one.
pub(super) struct BareServer {
    child: LoggedChild,
    address: SocketAddr,
}

impl BareServer {
    /// Starts one whose answer has a body of so many bytes and so much in a header of no meaning.
    pub(super) async fn start(folder: &Path, body_bytes: usize, header_bytes: usize) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let program = std::env::current_exe().context("this program's own path cannot be read")?;
        let mut words = death_signal_prefix("KILL");
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["bench-bare", "--port", &address.port().to_string()]);
        command.args(["--body-bytes", &body_bytes.to_string(), "--header-bytes", &header_bytes.to_string()]);
        let mut child = LoggedChild::spawn(command, &folder.join(format!("bare-{}.log", address.port())))?;
        wait_until_listening(&mut child, address).await?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(super) fn pid(&self) -> i32 {
        self.child.pid().cast_signed()
    }

    /// Requests that were posted to it.
    pub(super) async fn count(&self) -> anyhow::Result<u64> {
        let request = WireRequest::new("GET", COUNT, self.address, &["Connection: close".to_owned()], b"");
        let mut connection = Connection::open(self.address).await?;
        let text = connection.body(&request).await?;
        std::str::from_utf8(text)?.parse().context("the bare server does not count")
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.child.end_blocking(Signal::TERM, GRACE);
    }
}

async fn wait_until_listening(child: &mut LoggedChild, address: SocketAddr) -> anyhow::Result<()> {
    let listening = async {
        loop {
            if Connection::open(address).await.is_ok() {
                return Ok(());
            }
            if child.exited().is_some() {
                bail!("the bare server ended at once:\n{}", child.tail());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.context("the bare server does not listen")?
}
