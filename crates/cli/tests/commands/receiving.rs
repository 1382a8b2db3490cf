//! `onering sink`.

use std::time::Duration;

use onering_testkit::{ServiceOptions, ServiceProcess, eventually, free_port, http_client, scratch_dir};
use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::running::run;
use crate::signing::headers;

const SECRET: &str = "whsec_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BODY: &str = r#"{"event_id":"evt_1","event_type":"ring.forged"}"#;

/// A running sink and a client.
struct Sink {
    process: ServiceProcess,
    client: Client,
}

impl Sink {
    async fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let options = ServiceOptions::of("onering").port(port).env("ONERING_WEBHOOK_SECRET", SECRET).arg("sink");
        let options =
            arguments.iter().fold(options.arg("--port").arg(port.to_string()), |options, text| options.arg(*text));
        let sink = Self { process: options.spawn(), client: http_client() };
        eventually(Duration::from_secs(20), "the sink answers", async || sink.call(Method::GET, "/").await.is_ok())
            .await;
        sink
    }

    async fn call(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        self.client.request(method, self.process.url(path)).send().await
    }

    /// Posts [`BODY`] with these headers; answers the status, `X-Webhook-Error` and the body's `status`.
    async fn post(&self, headers: &[String], body: &str) -> (u16, Option<String>, String) {
        let mut request = self.client.post(self.process.url("/webhook")).body(body.to_owned());
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        let error = answer.headers().get("x-webhook-error").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        (status, error, body["status"].as_str().unwrap().to_owned())
    }

    async fn json(&self, method: Method, path: &str) -> Value {
        let answer = self.call(method, path).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

fn signed(event_id: &str, timestamp: Option<&str>) -> Vec<String> {
    let mut all = headers(SECRET, "x-webhook", event_id, timestamp, BODY.as_bytes());
    all.push(format!("X-Webhook-Event-ID: {event_id}"));
    all.extend(headers(SECRET, "standard-webhooks", event_id, timestamp, BODY.as_bytes()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_arrival_gets_the_answer_it_deserves() {
    let sink = Sink::start(&[]).await;
    assert_eq!(sink.post(&[], BODY).await, (400, None, "missing headers".to_owned()));
    assert_eq!(sink.post(&signed("evt_1", None), "altered").await, (401, None, "bad signature".to_owned()));
    let stale = sink.post(&signed("evt_1", Some("1700000000")), BODY).await;
    assert_eq!(stale, (409, Some("REPLAY_EXPIRED".to_owned()), "replay expired".to_owned()));
    assert_eq!(sink.post(&signed("evt_1", None), BODY).await, (200, None, "received".to_owned()));
    assert_eq!(sink.post(&signed("evt_1", None), BODY).await, (200, None, "duplicate".to_owned()));

    let list = sink.json(Method::GET, "/deliveries").await;
    assert_eq!(list["count"], 5);
    let told: Vec<(i64, bool)> = list["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arrival| (arrival["status"].as_i64().unwrap(), arrival["verified"].as_bool().unwrap()))
        .collect();
    assert_eq!(list["deliveries"][3]["verified_with"], "current");
    assert_eq!(told, [(400, false), (401, false), (409, false), (200, true), (200, true)]);
    assert_eq!(sink.json(Method::GET, "/").await["verified"], 2);
    assert!(sink.process.logs().contains("evt_1"), "arrivals are printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_forgets_when_it_is_told_to() {
    let sink = Sink::start(&["--quiet"]).await;
    for path in ["/deliveries", "/delete"] {
        assert_eq!(sink.post(&signed("evt_1", None), BODY).await.2, "received", "forgotten before, so new again");
        sink.json(Method::DELETE, path).await;
        assert_eq!(sink.json(Method::GET, "/deliveries").await["count"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fails_as_often_as_asked_and_ends_in_order() {
    let mut sink = Sink::start(&["--fail", "503", "--times", "2"]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(sink.post(&signed("evt_1", None), BODY).await.0);
    }
    assert_eq!(statuses, [503, 503, 200]);
    assert!(sink.process.terminate().await.success());
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let folder = scratch_dir("sink");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = run(folder.path(), &[], &["sink", "--port", &port]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&port) && ran.err.contains("--port"), "{ran:?}");
    let ran = run(folder.path(), &[], &["sink", "--port", "0", "--times", "2"]);
    assert_eq!(ran.code, Some(2), "--times without --fail: {ran:?}");
}
