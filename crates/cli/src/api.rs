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
        let (code, detail, recovery) = (text("code"), text("detail"), text("recovery"));
        anyhow::bail!("{} {code}: {detail} {recovery}", self.status)
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

impl Api {
    pub(crate) fn new(base: &Url, token: &str) -> anyhow::Result<Self> {
        Ok(Self { http: http_client()?, base: base.clone(), token: token.to_owned() })
    }

    /// Sends one request and reads its JSON answer.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = self.base.join(path).with_context(|| format!("{path} is not a path"))?;
        let mut request = self.http.request(method, url.clone());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.with_context(|| format!("the answer of {url} broke off"))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).with_context(|| format!("{url} answered {status} with something that is not JSON"))?
        };
        Ok(Answer { status, headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await?.success()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.success()
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PATCH, path, Some(body)).await?.success()
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, None).await?.success()
    }
}
