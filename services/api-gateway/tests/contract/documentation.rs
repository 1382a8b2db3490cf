//! The contract describes itself.

use crate::support::{Stack, send};

#[tokio::test]
async fn the_description_names_every_call_and_the_page_shows_it() {
    let stack = Stack::start().await;
    let get = |path: &str| send(stack.client.get(stack.gateway.url(path)));
    let document = get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            ids.push(call["operationId"].as_str().unwrap().to_owned());
            assert!(call["security"][0]["api_key"].is_array(), "{method} {path} has no security");
            let problem = &call["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem["schema"]["$ref"].is_string(), "{method} {path} names no problem");
            // What is described answers: a stranger is refused by the call, not told that there is nothing.
            let path = path.replace("{id}", "any");
            let method = method.to_uppercase().parse().unwrap();
            let stranger = send(stack.client.request(method, stack.gateway.url(&path))).await;
            assert_eq!(stranger.problem(), "MISSING_API_KEY", "{path}");
        }
    }
    for id in
        ["showKey", "publishEvent", "publishEvents", "listEventTypes", "createWebhook", "testWebhook", "resendDelivery"]
    {
        assert!(ids.iter().any(|known| known == id), "{id} is not among {ids:?}");
    }
    let page = get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(String::from_utf8_lossy(&page.body).contains("swagger-ui"));
    let moved = get("/docs").await;
    assert!(moved.status.is_redirection());
}
