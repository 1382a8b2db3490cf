//! The service runner and the keeper of the shared Postgres, with shell scripts in the place of programs.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and measures real time"
)]

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use onering_testkit::{Receiver, Reply, ServiceOptions, eventually, free_port, scratch_dir};

/// A script where cargo puts binaries; removed at the end.
struct Program(PathBuf);

impl Program {
    fn new(label: &str, script: &str) -> Self {
        let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = deps.parent().unwrap().join(format!("testkit-{label}-{}", std::process::id()));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn options(&self) -> ServiceOptions {
        ServiceOptions::of(self.0.file_name().unwrap().to_str().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn is_alive(pid: u32) -> bool {
    // A process that has ended and is not collected yet has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn a_service_is_started_restarted_and_ended() {
    // The script only logs; the receiver answers /readyz in its place.
    let program = Program::new(
        "service",
        "echo \"started $1 on $ONERING_BIND with $GREETING, home ${CARGO_HOME:-unset}\"; exec sleep 1000",
    );
    let port = free_port();
    let health = Receiver::start_on(port).await;
    health.script([Reply::status(503), Reply::status(503)]);
    let mut service = program.options().arg("serving").env("GREETING", "hello").port(port).start().await;
    assert_eq!(health.count(), 3, "asked until it was ready");
    assert_eq!(service.url("/x"), format!("http://127.0.0.1:{port}/x"));
    let wanted = format!("started serving on 127.0.0.1:{port} with hello, home unset\n");
    eventually(Duration::from_secs(10), "the service has logged", async || service.logs() == wanted).await;

    let first = service.pid();
    service.restart().await;
    assert!(service.pid() != first && !is_alive(first));
    eventually(Duration::from_secs(10), "both runs are logged", async || service.logs() == wanted.repeat(2)).await;
    assert_eq!(service.terminate().await.signal(), Some(15));
    assert!(!service.is_running());

    service.restart().await;
    let last = service.pid();
    drop(service);
    assert!(!is_alive(last));
}

#[tokio::test]
#[should_panic(expected = "DATABASE_URL is not set")]
async fn a_service_that_ends_while_starting_shows_its_log() {
    let program = Program::new("refusing", "echo 'DATABASE_URL is not set' >&2; exit 3");
    program.options().start().await;
}

#[tokio::test]
async fn a_refusal_to_start_can_be_looked_at() {
    let program = Program::new("exiting", "echo no; exit 3");
    let mut service = program.options().spawn();
    assert_eq!((service.wait_exit().await.code(), service.logs().as_str()), (Some(3), "no\n"));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_keeper_ends_the_server_when_the_last_lease_is_gone() {
    let run = scratch_dir("keeper");
    let dir = run.path().join("server");
    let data = dir.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(run.path().join("server.url"), "postgres://…").unwrap();
    File::create(run.path().join("start.lock")).unwrap();
    let lease = File::create(run.path().join("lease")).unwrap();
    lease.lock_shared().unwrap();
    let keeper = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/keeper.sh");
    // A shell's background child ignores SIGINT until it says otherwise, as Postgres does.
    let mut keeper = tokio::process::Command::new("sh")
        .arg(keeper)
        .args([run.path(), &dir])
        .args([
            "0",
            "env",
            "--default-signal=INT",
            "sh",
            "-c",
            "echo $$ >\"$2/pid\"; trap 'exit 0' INT; while :; do sleep 0.1; done",
            "server",
            "-D",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server: u32 = eventually(Duration::from_secs(10), "the server runs", async || {
        std::fs::read_to_string(data.join("pid")).ok()?.trim().parse().ok()
    })
    .await;
    let ended = ends_within(&mut keeper, Duration::from_secs(5)).await;
    assert!(!ended && is_alive(server), "a lease is held");
    lease.unlock().unwrap();
    assert!(ends_within(&mut keeper, Duration::from_secs(20)).await);
    assert!(!is_alive(server) && !dir.exists() && !run.path().join("server.url").exists());
}

/// Whether the child ends within `limit`.
async fn ends_within(child: &mut tokio::process::Child, limit: Duration) -> bool {
    tokio::time::timeout(limit, child.wait()).await.is_ok()
}
