//! Inbound HTTP: everything about answering requests that is the same in every service.
//!
//! Entry points: [`Server`] (or [`run_server`]) answers; [`ApiError`] is what handlers refuse and fail with; [`StrictJson`],
//! [`StrictQuery`], [`CappedBody`], [`ClientIp`], [`RequestTag`] and [`Operator`] are what they take; [`Page`] and
//! [`Cursor`] are how they answer lists; [`Proxy`] passes requests on.
//!
//! Invariants: every error is a problem document with `X-Error-Code`, every answer has `X-Request-Id`; no body is read
//! beyond its cap; causes, query strings, paths as sent and credentials never reach an answer or a log.
//!
//! Deliberately absent: what requests mean. No route but health and metrics is defined here, and the access decision for
//! partners is `onering-keys`'.

mod api_error;
mod client_address;
mod cursor;
mod health;
mod health_routes;
mod http_metrics;
mod json_document;
mod json_text;
mod object_probe;
mod operator_auth;
mod page;
mod problem_schema;
mod proxy;
mod reading;
mod request_body;
mod request_id;
mod request_scope;
mod server;
mod signals;
mod strict_json;
mod strict_query;

pub use api_error::{ApiError, ApiResult, ERROR_CODE_HEADER, problem_response};
pub use client_address::{ClientIp, TrustedProxies};
pub use cursor::{Cursor, CursorKey, NotACursor};
pub use health::{Dependency, DependencyStatus, Health, Readiness, ReadinessStatus};
pub use http_metrics::HttpMetrics;
pub use json_document::parse_json;
pub use json_text::MAX_DEPTH;
pub use operator_auth::{
    Admin, JwtVerifier, KnownOperator, LookUpError, Operator, OperatorAuth, OperatorDirectory, OperatorIdentity,
    OperatorRole, Permission, Viewer, WeakJwtSecret,
};
pub use page::{Limit, Page};
pub use problem_schema::ProblemSchema;
pub use proxy::{ForwardPlan, Forwarded, ForwardedAnswer, NoUpstream, Proxy, Upstreams, read_forwarded};
pub use reading::reading;
pub use request_body::{BodyLimits, CappedBody};
pub use request_id::{REQUEST_ID_HEADER, RequestTag};
pub use request_scope::{RequestScope, RequestScopeService};
pub use server::{ServeError, Server, ServerOptions, run_server};
pub use signals::stop_on_signals;
pub use strict_json::{OptionalJson, StrictJson};
pub use strict_query::{StrictQuery, parse_query};
