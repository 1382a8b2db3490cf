//! The one error type of handlers: what the caller may read, and beside it what only the log may.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use onering_problem::{Code, Problem, ProblemDocument};

/// The header that repeats a problem's code, for clients that do not parse error bodies.
pub const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-error-code");

/// What a handler or an extractor answers when it refuses or fails.
///
/// The [`Problem`] is for the caller; the cause is for the log alone and never leaves the process.
#[derive(Debug)]
pub struct ApiError {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What handlers return.
pub type ApiResult<T = HttpResponse> = Result<T, ApiError>;

impl ApiError {
    /// An error that says to the caller what `problem` says.
    #[must_use]
    pub fn new(problem: impl Into<Problem>) -> Self {
        Self { problem: problem.into(), headers: Vec::new(), cause: None }
    }

    /// 500 `INTERNAL`: a mistake of ours. The caller learns the request id, the log learns the cause.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    /// 503 `DEPENDENCY_UNAVAILABLE`: Postgres or Redis did not answer; worth another try in a second.
    #[must_use]
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Problem::new(Code::DependencyUnavailable).retry_after(1)).caused_by(cause)
    }

    /// Keeps what lies behind the problem, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Adds a header to the answer, in the place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What the caller is told.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The cause and its causes, joined by `: `; `None` where there is no cause.
    pub(crate) fn cause_chain(&self) -> Option<String> {
        let mut next: Option<&(dyn Error + 'static)> = Some(self.cause.as_deref()?);
        let mut chain = String::new();
        while let Some(error) = next {
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            chain.push_str(&error.to_string());
            next = error.source();
        }
        Some(chain)
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.problem, formatter)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status_of(&self.problem)
    }

    /// The head of the answer. Its body follows in [`RequestScope`](crate::RequestScope), which knows the request id.
    fn error_response(&self) -> HttpResponse {
        let mut response = problem_head(&self.problem).finish();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

/// A whole answer from a problem, for code that answers without returning an [`ApiError`].
#[must_use]
pub fn problem_response(problem: &Problem, request_id: &str) -> HttpResponse {
    problem_head(problem).body(problem.to_json(request_id))
}

fn problem_head(problem: &Problem) -> HttpResponseBuilder {
    let mut head = HttpResponse::build(status_of(problem));
    head.insert_header((CONTENT_TYPE, HeaderValue::from_static(ProblemDocument::MEDIA_TYPE)))
        .insert_header((ERROR_CODE_HEADER, HeaderValue::from_static(problem.code.as_str())))
        // An intermediary that kept a refusal would go on refusing after its reason is gone.
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if let Some(seconds) = problem.retry_after {
        head.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
    }
    if problem.status() == 401 {
        head.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    head
}

fn status_of(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn every_code_has_a_head_with_its_status_and_name() {
        for code in Code::ALL {
            let response = ApiError::from(*code).error_response();
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(header(&response, "x-error-code"), code.as_str());
            assert_eq!(header(&response, "content-type"), "application/problem+json");
            assert_eq!(response.headers().contains_key("www-authenticate"), code.status() == 401);
        }
    }

    #[test]
    fn own_headers_and_retry_after_are_in_the_head() {
        let error = ApiError::new(Problem::new(Code::RateLimited).retry_after(17))
            .header(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from_static("100"));
        let response = error.error_response();
        assert_eq!(header(&response, "retry-after"), "17");
        assert_eq!(header(&response, "x-ratelimit-limit"), "100");
    }

    #[test]
    fn a_cause_is_told_to_the_log_and_not_to_the_caller() {
        let outer = std::io::Error::other(fmt::Error);
        let error = ApiError::internal(outer);
        assert!(error.cause_chain().unwrap().contains("an error occurred when formatting"));
        assert!(!error.problem().to_json("req_1").contains("formatting"));
        assert_eq!(ApiError::from(Code::NotFound).cause_chain(), None);
    }
}
