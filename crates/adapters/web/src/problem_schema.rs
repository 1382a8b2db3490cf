//! The problem document as OpenAPI describes it.

use utoipa::ToSchema;

/// The body of every error answer (RFC 9457). For documentation only: answers are made from `onering-problem`.
#[derive(Debug, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemSchema {
    /// A URN that names the code.
    #[schema(example = "urn:onering:problem:validation-failed")]
    pub r#type: String,
    /// What happened, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The code to branch on; also in `X-Error-Code`.
    #[schema(example = "VALIDATION_FAILED")]
    pub code: String,
    /// The id to report; also in `X-Request-Id`.
    pub request_id: String,
    /// The field, header or parameter that is wrong.
    pub field: Option<String>,
    /// What can be done about it.
    pub recovery: Option<String>,
}
