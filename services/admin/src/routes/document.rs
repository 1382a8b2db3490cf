//! The OpenAPI document: what all operations have in common is put in here, once.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

use super::Document;

/// The document as text; it never changes while the process runs.
static TEXT: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| Document::openapi().to_pretty_json());

/// Adds what every operation has: how operators get in, how it refuses, and a name that is unique in the document.
pub(super) struct InCommon;

/// `GET /openapi.json`.
pub(super) async fn serve() -> onering_web::ApiResult {
    let text = TEXT.as_ref().map_err(|error| onering_web::ApiError::internal(error.to_string()))?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(text.as_str()))
}

impl Modify for InCommon {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`oak_…`, or a JWT.")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKeyValue::with_description("X-Admin-Key", "`oak_…`");
        components.add_security_scheme("admin_key", SecurityScheme::ApiKey(ApiKey::Header(header)));
        for (path, item) in &mut document.paths.paths {
            let of_one = path.contains('{');
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            operations.into_iter().flatten().for_each(|operation| complete(operation, of_one));
        }
    }
}

fn complete(operation: &mut Operation, of_one: bool) {
    let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let name = operation.operation_id.take().unwrap_or_default();
    operation.operation_id = Some(format!("{}_{name}", tag.replace('-', "_")));
    let none: [&str; 0] = [];
    operation.security =
        Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("admin_key", none)]);
    let refusals = [
        ("400", "The query or the body cannot be read."),
        ("401", "The credential is missing or not valid."),
        ("403", "The operator's role does not allow this."),
        ("404", "There is no such thing."),
        ("409", "It does not fit the present state."),
        ("413", "The body is too large."),
        ("415", "The body is of another media type than JSON."),
        ("422", "A value is not valid; `field` names it."),
        ("503", "Postgres does not answer."),
    ];
    let takes_body = operation.request_body.is_some();
    for (status, description) in refusals {
        let fits = match status {
            "404" => of_one,
            "409" | "413" | "415" | "422" => takes_body || (of_one && status == "409"),
            _ => true,
        };
        if fits {
            operation.responses.responses.insert(status.to_owned(), RefOr::T(problem(description)));
        }
    }
}

fn problem(description: &str) -> Response {
    let mut response = Response::new(description);
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::TABLE;
    use super::*;

    fn document() -> Value {
        serde_json::from_str(TEXT.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
            })
            .collect();
        let routed: BTreeSet<_> =
            TABLE.iter().map(|(path, method)| ((*path).to_owned(), (*method).to_owned())).collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_security_and_problems() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} is there twice");
                assert_eq!(operation["security"].as_array().unwrap().len(), 2, "{method} {path}");
                assert!(operation["tags"][0].is_string(), "{method} {path}");
                let problem = &operation["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    open.extend(members.values());
                }
                _ => {}
            }
        }
    }
}
