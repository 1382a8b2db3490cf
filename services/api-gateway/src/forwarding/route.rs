//! [`Route`]: one entry of the route table, as written and as checked.

use std::time::Duration;

use actix_web::http::Method;
use onering_keys::Scope;
use onering_rate_limit::Cost;
use onering_web::Upstreams;
use serde::Deserialize;
use url::Url;

/// Everything the gateway answers lies beneath this.
const BASE: &str = "/v1/external/";
/// The first segments of the gateway's own calls.
const OWN: [&str; 5] = ["me", "events", "webhooks", "deliveries", "event-types"];
/// Methods that can be passed on.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
const MOST_COST: u32 = 10_000;
const LONGEST_TIMEOUT_S: u64 = 300;
const LARGEST_BODY: usize = 1024 * 1024 * 1024;

/// An entry as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteEntry {
    pub(super) prefix: String,
    upstream: String,
    #[serde(default = "default_methods")]
    methods: Vec<String>,
    scope: Option<String>,
    #[serde(default = "default_cost")]
    cost: u32,
    #[serde(default = "default_timeout_s")]
    timeout_seconds: u64,
    #[serde(default = "default_body_cap")]
    body_cap_bytes: usize,
}

fn default_methods() -> Vec<String> {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec()
}

const fn default_cost() -> u32 {
    1
}

const fn default_timeout_s() -> u64 {
    30
}

const fn default_body_cap() -> usize {
    1024 * 1024
}

/// One way to the product.
#[derive(Debug)]
pub(crate) struct Route {
    /// What paths begin with, up to a segment's end.
    pub(crate) prefix: String,
    /// The methods passed on. `GET` stands for `HEAD` as well.
    pub(crate) methods: Vec<Method>,
    /// The scope a key needs; `None`: any key.
    pub(crate) scope: Option<Scope>,
    /// What a call takes from the quota.
    pub(crate) cost: Cost,
    /// The longest wait for the answer's head, and for each chunk of its body.
    pub(crate) timeout: Duration,
    /// The largest body passed on, bytes.
    pub(crate) body_cap: usize,
    /// Where to, without the path.
    pub(crate) upstreams: Upstreams,
    /// What stands there in place of the prefix; without a slash at its end.
    upstream_path: String,
}

impl TryFrom<RouteEntry> for Route {
    type Error = String;

    /// The error says what is wrong, in words for the operator.
    fn try_from(entry: RouteEntry) -> Result<Self, String> {
        check_prefix(&entry.prefix)?;
        let (upstreams, upstream_path) = upstream(&entry.upstream)?;
        let scope = entry.scope.map(|text| text.parse::<Scope>().map_err(|error| format!("scope `{text}`: {error}")));
        Ok(Self {
            methods: methods(&entry.methods)?,
            scope: scope.transpose()?,
            cost: Cost(bounded("cost", entry.cost, 0, MOST_COST)?),
            timeout: Duration::from_secs(bounded("timeout_seconds", entry.timeout_seconds, 1, LONGEST_TIMEOUT_S)?),
            body_cap: bounded("body_cap_bytes", entry.body_cap_bytes, 0, LARGEST_BODY)?,
            prefix: entry.prefix,
            upstreams,
            upstream_path,
        })
    }
}

impl Route {
    /// What stands behind the prefix in `path`, where the route is the path's: empty, or beginning with a slash.
    pub(super) fn rest_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// Whether it is a way for this method.
    pub(super) fn takes(&self, method: &Method) -> bool {
        self.methods.contains(method) || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Path and query at the upstream.
    pub(crate) fn upstream_target(&self, rest: &str, query: Option<&str>) -> String {
        let path = format!("{}{rest}", self.upstream_path);
        let path = if path.is_empty() { "/" } else { &path };
        match query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let Some(rest) = prefix.strip_prefix(BASE) else { return Err(format!("the prefix must begin with {BASE}")) };
    let good = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
    };
    if !rest.split('/').all(good) {
        return Err(
            "the prefix must be made of segments of letters, digits and ._~-, without a slash at its end".to_owned()
        );
    }
    match rest.split('/').next() {
        Some(first) if OWN.contains(&first) => Err(format!("{BASE}{first} is the gateway's own")),
        _ => Ok(()),
    }
}

fn upstream(text: &str) -> Result<(Upstreams, String), String> {
    let mut url: Url = text.parse().map_err(|error| format!("the upstream is not a URL: {error}"))?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path("");
    let upstreams = Upstreams::new([url]).map_err(|error| error.to_string())?;
    Ok((upstreams, path))
}

fn methods(texts: &[String]) -> Result<Vec<Method>, String> {
    if texts.is_empty() {
        return Err("methods is empty".to_owned());
    }
    let known = |text: &String| METHODS.into_iter().find(|method| method.as_str() == text);
    let named = |text| known(text).ok_or_else(|| format!("`{text}` is not a method that can be passed on"));
    texts.iter().map(named).collect()
}

fn bounded<N: Copy + PartialOrd + std::fmt::Display>(name: &str, value: N, least: N, most: N) -> Result<N, String> {
    if value < least || value > most {
        return Err(format!("{name} must be from {least} to {most}, not {value}"));
    }
    Ok(value)
}
