//! A whole process' telemetry: one test, because a process has one subscriber.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use chrono::TimeDelta;
use onering_settings::{LogFormat, Process, Profile, Service, Telemetry};
use onering_telemetry::{init, traceparent};

/// Takes one HTTP request, answers 200, and gives back its first line and its body.
fn take_one_request(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut taken = Vec::new();
    loop {
        let head_end = taken.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head_end) = head_end {
            let head = String::from_utf8_lossy(&taken[..head_end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let body_start = head_end + 4;
            if taken.len() >= body_start + length.parse::<usize>().unwrap() {
                answer(&mut stream);
                return (head.lines().next().unwrap().to_owned(), taken[body_start..].to_vec());
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the request ended early");
        taken.extend_from_slice(&chunk[..read]);
    }
}

fn answer(stream: &mut TcpStream) {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn spans_reach_the_collector_when_the_guard_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = std::thread::spawn(move || take_one_request(&listener));
    let settings = Telemetry { log: "info".to_owned(), format: LogFormat::Json, otlp: Some(endpoint.parse().unwrap()) };
    let process = Process {
        service: Service::DeliveryWorker,
        profile: Profile::Dev,
        instance: "worker-7".to_owned(),
        shutdown: Duration::from_secs(1),
        clock_skew: TimeDelta::zero(),
    };

    let guard = init(&settings, &process).unwrap();
    assert!(init(&settings, &process).is_err(), "a second time");
    let span = tracing::info_span!(target: "onering_test", "settle_batch");
    assert!(traceparent::of(&span).is_some());
    span.in_scope(|| tracing::info!(target: "onering_test", "settled"));
    drop(span);
    drop(tracing::info_span!(target: "hyper_util::client", "of_a_library"));
    drop(guard);

    let (request, body) = collector.join().unwrap();
    assert_eq!(request, "post /v1/traces http/1.1");
    assert!(contains(&body, "settle_batch"));
    assert!(contains(&body, "delivery-worker") && contains(&body, "worker-7"));
    assert!(!contains(&body, "of_a_library"));
}
