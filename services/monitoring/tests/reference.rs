//! `docs/api.md` says of this service what its OpenAPI document says: the same calls, the same fields.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

use std::collections::BTreeSet;
use std::fs;

use monitoring::ApiDocumentation;
use serde_json::Value;
use utoipa::OpenApi;

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md")).unwrap()
}

fn document() -> Value {
    serde_json::to_value(ApiDocumentation::openapi()).unwrap()
}

/// The first cells of the tables in a text, without their backquotes.
fn first_cells(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(cell, _)| cell)).collect()
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_call_is_in_the_reference_and_no_other() {
    let (page, document) = (page(), document());
    let written: BTreeSet<_> =
        first_cells(&page).into_iter().filter(|cell| cell.contains(" /v1/monitoring")).map(str::to_owned).collect();
    let documented: BTreeSet<_> = names(&document["paths"]).into_iter().map(|path| format!("GET {path}")).collect();
    assert_eq!(written, documented);
}

#[test]
fn every_field_is_in_the_reference_and_no_other() {
    let (page, document) = (page(), document());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if schema["properties"].is_null() {
            continue;
        }
        let heading = format!("\n#### {name}\n");
        let (_, after) = page.split_once(&heading).unwrap_or_else(|| panic!("{name} is not in docs/api.md"));
        let table = after.split_once("| field |").unwrap().1.split("\n\n").next().unwrap();
        assert_eq!(first_cells(table), names(&schema["properties"]), "{name}");
    }
}

#[test]
fn every_query_parameter_is_in_the_reference() {
    let (page, document) = (page(), document());
    for (path, item) in document["paths"].as_object().unwrap() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `GET {path}` |"))).unwrap();
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            assert!(parameter["in"] != "query" || row.contains(&format!("`{name}`")), "{path}: {name}");
        }
    }
}
