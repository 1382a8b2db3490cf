//! What the gateway makes of bytes from outside, without a gateway around it: for tests that send it anything at all.
//!
//! Every function here is the one that answers calls, or calls nothing else.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use bytes::Bytes;
use onering_keys::TokenDigest;
use onering_problem::Problem;
use onering_webhooks::{IdempotencyKey, NewEvent};

use crate::access::PresentedToken;
use crate::forwarding::{Match, RouteTable, check_path};
use crate::operations::{BatchItems, parse_item};

/// What became of one item of a batch.
pub type ReadItem = Result<(NewEvent, Option<IdempotencyKey>), Problem>;

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The prefix of its route.
    pub prefix: String,
    /// Path and query at the upstream.
    pub target: String,
    /// What it takes from the quota.
    pub cost: u32,
    /// The longest wait for the answer's head.
    pub timeout: Duration,
    /// The largest body passed on, bytes.
    pub body_cap: usize,
}

/// Reads a batch of events.
///
/// # Errors
/// The problem of the whole batch; what is wrong with one item stands in its place.
pub fn read_batch(media_type: &str, body: &Bytes) -> Result<Vec<ReadItem>, Problem> {
    let items = BatchItems::split(media_type, body)?;
    let read = |item: &Bytes| {
        let (input, key) = parse_item(item)?;
        Ok((NewEvent::parse(input)?, key))
    };
    Ok(items.iter().map(read).collect())
}

/// The token a call presents in its `Authorization` headers; `None` where it presents none that could be one.
#[must_use]
pub fn presented_token(authorization: &[&[u8]]) -> Option<TokenDigest> {
    let mut headers = HeaderMap::new();
    for value in authorization {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    }
    match PresentedToken::of(&headers) {
        PresentedToken::Digest(digest) => Some(digest),
        PresentedToken::Missing | PresentedToken::Garbled => None,
    }
}

/// Where a route table sends a call of this path and query; `None` where it goes nowhere.
///
/// # Errors
/// What is wrong with the table, in words for the operator.
pub fn find_way(table: &str, method: &str, path: &str, query: Option<&str>) -> Result<Option<Way>, String> {
    let table = RouteTable::parse(table).map_err(|error| error.to_string())?;
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return Ok(None) };
    if !check_path(path) {
        return Ok(None);
    }
    Ok(match table.find(&method, path) {
        Match::Route(route, rest) => Some(Way {
            prefix: route.prefix.clone(),
            target: route.upstream_target(rest, query),
            cost: route.cost.0,
            timeout: route.timeout,
            body_cap: route.body_cap,
        }),
        Match::WrongMethod(_) | Match::Nothing => None,
    })
}
