//! The platform's HTTP API as a client sees it: one request, one JSON answer, and problems turned into errors that say
//! what the platform said.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

/// A client of one deployment with one credential.
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    token: String,
}

/// One answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The JSON body; null when there was none.
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a 2xx answer; any other becomes an error with the problem's code and detail.
    pub(crate) fn success(self) -> anyhow::Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |field: &str| self.body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, detail, field, recovery) = (text("code"), text("detail"), text("field"), text("recovery"));
        let mut message = format!("{} {code}: {detail}", self.status);
        if !field.is_empty() {
            message.push_str(&format!(" (field {field})"));
        }
        if !recovery.is_empty() {
            message.push_str(&format!(" {recovery}"));
        }
        anyhow::bail!(message)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A plain client that never follows redirects and never uses a proxy: what is asked is what is measured.
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .context("the HTTP client could not be made")
}

/// A path with those of the parameters that have a value.
pub(crate) fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    match query.finish() {
        empty if empty.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

impl Api {
    /// A client of the platform at `base`; with an empty token it calls as nobody.
    pub(crate) fn new(base: &Url, token: &str) -> anyhow::Result<Self> {
        Ok(Self { http: http_client()?, base: base.clone(), token: token.to_owned() })
    }

    /// Sends one request and reads its JSON answer, whatever its status.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.call_with(method, path, &[], body).await
    }

    /// The same with further headers.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let url = self.base.join(path).with_context(|| format!("{path} is not a path"))?;
        let mut request = self.http.request(method, url.clone());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        // The error would name the address a second time.
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.with_context(|| format!("no answer from {url}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.with_context(|| format!("the answer of {url} broke off"))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .with_context(|| format!("{url} answered {status} with something that is not JSON"))?
        };
        Ok(Answer { status, headers, body })
    }

    /// Every page of a list, as one.
    pub(crate) async fn get_all(&self, path_and_query: &str) -> anyhow::Result<Value> {
        let joint = if path_and_query.contains('?') { '&' } else { '?' };
        let first = format!("{path_and_query}{joint}limit=200");
        let mut page = self.get(&first).await?;
        let mut items: Vec<Value> = Vec::new();
        loop {
            items.append(page["items"].as_array_mut().context("the answer is not a list")?);
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            // A cursor has only characters that stand for themselves in a query.
            page = self.get(&format!("{first}&cursor={cursor}")).await?;
        }
        Ok(serde_json::json!({ "items": items }))
    }

    /// GET; an answer other than 2xx is an error.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await?.success()
    }

    /// POST; an answer other than 2xx is an error.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.success()
    }

    /// PATCH; an answer other than 2xx is an error.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PATCH, path, Some(body)).await?.success()
    }

    /// DELETE; an answer other than 2xx is an error.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, None).await?.success()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_are_escaped_and_leave_out_what_has_no_value() {
        assert_eq!(query("/v1/x", &[("owner_id", None)]), "/v1/x");
        assert_eq!(
            query("/v1/x", &[("owner_id", Some("a&b=c d")), ("status", Some("DEAD"))]),
            "/v1/x?owner_id=a%26b%3Dc+d&status=DEAD"
        );
    }

    #[test]
    fn a_problem_becomes_a_sentence() {
        let body =
            json!({ "code": "VALIDATION_FAILED", "detail": "not a tier", "field": "tier", "recovery": "Use free." });
        let answer = Answer { status: 422, headers: HeaderMap::new(), body };
        let error = answer.success().unwrap_err().to_string();
        assert_eq!(error, "422 VALIDATION_FAILED: not a tier (field tier) Use free.");
    }
}
