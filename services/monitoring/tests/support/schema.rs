//! Whether a value is exactly what an OpenAPI schema says: every field it names and no other, each of its type.

use chrono::DateTime;
use serde_json::Value;

/// The schema of a call's good answer.
pub(crate) fn of_answer<'a>(document: &'a Value, path: &str) -> &'a Value {
    let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path} is not documented");
    schema
}

/// Everything in which `value` is not what `schema` says, with its place.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    compare(document, schema, value, "$", &mut faults);
    faults
}

fn compare(document: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return compare(document, target, value, place, faults);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |choice| self::faults(document, choice, value).is_empty();
        if choices.iter().filter(|choice| fits(choice)).count() != 1 {
            faults.push(format!("{place}: {value} is not one of {choices:?}"));
        }
        return;
    }
    if !types(schema).iter().any(|name| is_of_type(name, value)) {
        faults.push(format!("{place}: {value} is not {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        faults.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    match value {
        Value::Object(fields) => compare_fields(document, schema, fields, place, faults),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                compare(document, &schema["items"], item, &format!("{place}[{index}]"), faults);
            }
        }
        Value::String(text) if schema["format"] == "date-time" && !is_utc_time(text) => {
            faults.push(format!("{place}: {text} is no UTC time of RFC 3339"));
        }
        _ => {}
    }
}

fn compare_fields(
    document: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    place: &str,
    faults: &mut Vec<String>,
) {
    let Some(properties) = schema["properties"].as_object() else {
        let each = &schema["additionalProperties"];
        assert!(each.is_object(), "{place}: an object without described fields");
        for (name, value) in fields {
            compare(document, each, value, &format!("{place}.{name}"), faults);
        }
        return;
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in properties {
        assert!(required.contains(&name.as_str().into()), "{place}.{name} is documented as if it could be absent");
        assert!(is_described(document, property), "{place}.{name} has no description");
        match fields.get(name) {
            Some(value) => compare(document, property, value, &format!("{place}.{name}"), faults),
            None => faults.push(format!("{place}.{name} is documented and absent")),
        }
    }
    let undocumented = fields.keys().filter(|name| !properties.contains_key(*name));
    faults.extend(undocumented.map(|name| format!("{place}.{name} is not documented")));
}

/// By itself, or by the shape it refers to.
fn is_described(document: &Value, property: &Value) -> bool {
    let target = property["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    let choices = property["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    property["description"].is_string()
        || target.is_some_and(|target| is_described(document, target))
        || choices.iter().any(|choice| is_described(document, choice))
}

fn is_utc_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok() && text.ends_with('Z')
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        other => panic!("a schema without a type ({other}): {schema}"),
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no JSON type: {other}"),
    }
}
