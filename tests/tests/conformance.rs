//! Our OpenAPI documents, judged by schemathesis: what they promise is what is answered, to good requests and to bad ones.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how many examples can be said by the environment, and what was tried is shown"
)]

use onering_tests::outside::{self, Ran};
use onering_tests::{Partner, Stack, StackOptions};
use serde_json::json;

/// Examples for each operation and phase, where the environment does not say otherwise: few, for `make test`.
const EXAMPLES: &str = "8";

/// A platform of which the monitoring asks for credentials as well.
async fn stack() -> Stack {
    let environment = vec![("ONERING_MONITORING_OPEN", "0".to_owned())];
    Stack::start(StackOptions { environment, ..StackOptions::default() }).await
}

async fn conforms(document: String, credential: &str) {
    let examples = std::env::var("ONERING_CONFORMANCE_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let python = outside::python().display().to_string();
    // By `env`, so that the credential stands in no configuration.
    let mut arguments = vec![format!("ONERING_CREDENTIAL={credential}"), python];
    arguments.extend(["-m", "schemathesis.cli"].map(str::to_owned));
    let folder = outside::tests_folder().join("conformance");
    arguments.extend(
        ["--config-file", "schemathesis.toml", "run", &document, "--max-examples", &examples].map(str::to_owned),
    );
    let more = std::env::var("ONERING_CONFORMANCE_ARGS").unwrap_or_default();
    arguments.extend(more.split_whitespace().map(str::to_owned));
    let Ran { code, text } = outside::run("env", arguments, &folder, b"").await;
    println!("{text}");
    assert_eq!(code, 0, "schemathesis found something in {document}:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_api() {
    let stack = stack().await;
    let partner = Partner::create(&stack, "acme", json!({ "rate_limit_override": 1_000_000_000_u64 })).await;
    partner.subscribe("http://127.0.0.1:9/hooks", json!({ "timeout_seconds": 1 })).await;
    partner.publish("ring.forged", json!({ "ring_id": "one" })).await;
    conforms(stack.gateways[0].url("/openapi.json"), &partner.token).await;
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_api() {
    let stack = stack().await;
    conforms(stack.admin.url("/openapi.json"), stack.admin_token()).await;
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitoring_api() {
    let stack = stack().await;
    Partner::create(&stack, "acme", json!({})).await;
    conforms(stack.monitoring.url("/openapi.json"), stack.admin_token()).await;
}
