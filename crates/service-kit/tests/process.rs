//! A whole process: from its settings to its exit code.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use onering_store::{PoolConfig, migrate::migrate};
use onering_testkit::{Template, eventually, free_port, http_client, postgres_from, redis};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The example, which cargo builds beside the tests.
fn program() -> PathBuf {
    let mut program: PathBuf = std::env::current_exe().unwrap();
    program.pop();
    program.pop();
    program.join("examples/fifth_service")
}

fn service(variables: &[(&str, &str)]) -> Child {
    spawn(Command::new(program()), variables)
}

/// The same, told by its shell how many files it may have open: softly, and at the most.
fn service_with_open_files(soft: u64, hard: u64, variables: &[(&str, &str)]) -> Child {
    let mut shell = Command::new("/bin/sh");
    let limits = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\"");
    shell.arg("-c").arg(limits).arg(program());
    spawn(shell, variables)
}

fn spawn(mut command: Command, variables: &[(&str, &str)]) -> Child {
    command.env_clear().envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// Exit code and everything that was said.
async fn ended(process: Child) -> (Option<i32>, String) {
    let ending = tokio::time::timeout(Duration::from_secs(30), process.wait_with_output());
    let Output { status, stdout, stderr } = ending.await.unwrap().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_answers_and_ends_with_0_when_told() {
    let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    let prepare = |url: String| async move { migrate(&PoolConfig::new(&url)?).await.map(drop) };
    let (database, redis) = tokio::join!(postgres_from(&template, prepare), redis());
    let address = format!("127.0.0.1:{}", free_port());
    let variables = [
        ("DATABASE_URL", database.url()),
        ("REDIS_URL", &redis.url()),
        ("ONERING_BIND", &address),
        ("ONERING_PROFILE", "dev"),
        ("ONERING_WEBHOOKS_ENABLED", "1"),
        ("ONERING_WEBHOOK_ENABLED", "1"),
    ];
    let process = service(&variables);
    let client = http_client();
    let flags = eventually(Duration::from_secs(30), "an answer", async || {
        client.get(format!("http://{address}/flags")).send().await
    });
    let flags: Value = flags.await.json().await.unwrap();
    assert_eq!(flags["ONERING_WEBHOOKS_ENABLED"], true, "{flags}");

    // Another process on the same address is refused in words that help.
    let (code, logs) = ended(service(&variables)).await;
    let refused = format!("cannot listen on {address} (another process has it)");
    assert_eq!(code, Some(1), "{logs}");
    assert!(logs.contains(&refused) && logs.contains("ONERING_BIND"), "{logs}");

    kill_process(Pid::from_raw(process.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    let (code, logs) = ended(process).await;
    assert_eq!(code, Some(0), "{logs}");
    for said in ["listening", "SIGTERM", "\"stopped\"", "ONERING_WEBHOOK_ENABLED"] {
        assert!(logs.contains(said), "{said} is not in {logs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_wrong_end_the_process_before_it_begins() {
    let (code, said) = ended(service(&[("DATABASE_URL", "hunter2")])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("DATABASE_URL") && said.contains("REDIS_URL") && !said.contains("hunter2"), "{said}");
}

/// A Postgres that is away is waited for, so this needs none.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let nowhere = format!("postgres://nobody@127.0.0.1:{}/none", free_port());
    let redis = format!("redis://127.0.0.1:{}", free_port());
    let variables = [("DATABASE_URL", nowhere.as_str()), ("REDIS_URL", &redis), ("ONERING_PROFILE", "dev")];
    let process = service_with_open_files(256, 700, &variables);
    let limits = format!("/proc/{}/limits", process.id().unwrap());
    let as_far_as_it_goes = async || {
        let limits = tokio::fs::read_to_string(&limits).await.unwrap();
        let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        if open_files.split_whitespace().skip(3).eq(["700", "700", "files"]) {
            Ok(())
        } else {
            Err(open_files.to_owned())
        }
    };
    eventually(Duration::from_secs(30), "the soft limit is the hard one", as_far_as_it_goes).await;

    kill_process(Pid::from_raw(process.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    let (code, logs) = ended(process).await;
    assert_eq!(code, Some(0), "{logs}");
    let short = logs.lines().find(|line| line.contains("few files may be open")).unwrap_or_else(|| panic!("{logs}"));
    assert!(short.contains("700") && short.contains("8192") && short.contains("WARN"), "{short}");
}
