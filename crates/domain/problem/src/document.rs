use std::fmt;

use serde::Serialize;

use crate::code::Code;

/// One occurrence of an error, as its caller may see it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which error.
    pub code: Code,
    /// What happened this time: one or two sentences for a person. The code's title until it is set.
    pub detail: String,
    /// The field, header or parameter that is wrong: a path such as `events[2]`.
    pub field: Option<String>,
    /// When to try again, in seconds from now; goes into the `Retry-After` header.
    pub retry_after: Option<u64>,
    /// Advice that fits better than the code's own.
    pub recovery: Option<String>,
}

impl Problem {
    /// A problem that says no more than its code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { code, detail: code.title().to_owned(), field: None, retry_after: None, recovery: None }
    }

    /// A value that breaks a rule: `VALIDATION_FAILED` naming the field, and the rule in the detail.
    #[must_use]
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::ValidationFailed).field(field).detail(detail)
    }

    /// Something that is not there, or not the caller's: `NOT_FOUND` naming the kind of thing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound).detail(format!("There is no such {what}."))
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Names the field, header or parameter that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says when to try again, in seconds from now.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Gives advice that fits better than the code's own.
    #[must_use]
    pub fn recovery(mut self, recovery: impl Into<String>) -> Self {
        self.recovery = Some(recovery.into());
        self
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// The document to serialise, of media type [`ProblemDocument::MEDIA_TYPE`].
    #[must_use]
    pub fn document<'a>(&'a self, request_id: &'a str) -> ProblemDocument<'a> {
        ProblemDocument {
            r#type: self.code.type_uri(),
            title: self.code.title(),
            status: self.status(),
            detail: &self.detail,
            code: self.code,
            request_id,
            field: self.field.as_deref(),
            recovery: self.recovery.as_deref().or(self.code.recovery()),
        }
    }

    /// The document as JSON text.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a struct of strings and a number always serialises")]
    pub fn to_json(&self, request_id: &str) -> String {
        serde_json::to_string(&self.document(request_id)).expect("strings and numbers serialise")
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.detail)?;
        match &self.field {
            Some(field) => write!(formatter, " (field {field})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// The members of the answer's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemDocument<'a> {
    /// A URN that names the code.
    pub r#type: String,
    /// What happened, the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: &'a str,
    /// The code to branch on.
    pub code: Code,
    /// The id under which our logs tell more.
    pub request_id: &'a str,
    /// The field, header or parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    /// What the caller can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<&'a str>,
}

impl ProblemDocument<'_> {
    /// The media type of the document (RFC 9457, section 3).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(problem: &Problem) -> Value {
        serde_json::from_str(&problem.to_json("req_1")).unwrap()
    }

    #[test]
    fn a_bare_code_makes_a_whole_document() {
        assert_eq!(
            parsed(&Problem::new(Code::KeyDisabled)),
            json!({
                "type": "urn:onering:problem:key-disabled",
                "title": "The API key is disabled",
                "status": 403,
                "detail": "The API key is disabled",
                "code": "KEY_DISABLED",
                "request_id": "req_1",
                "recovery": "Ask the operator of this platform to enable the key.",
            })
        );
    }

    #[test]
    fn particulars_take_the_place_of_the_codes_own() {
        let problem = Problem::invalid("events[2]", "an event type has at most 128 characters")
            .recovery("Shorten it.")
            .retry_after(7);
        let document = parsed(&problem);
        assert_eq!(document["status"], 422);
        assert_eq!(document["code"], "VALIDATION_FAILED");
        assert_eq!(document["field"], "events[2]");
        assert_eq!(document["detail"], "an event type has at most 128 characters");
        assert_eq!(document["recovery"], "Shorten it.");
        assert_eq!(problem.retry_after, Some(7));
        assert!(document.get("retry_after").is_none(), "it is a header");
    }

    #[test]
    fn what_has_no_advice_has_no_empty_member() {
        let document = parsed(&Problem::not_found("delivery"));
        assert_eq!(document["detail"], "There is no such delivery.");
        assert!(document.get("recovery").is_none() && document.get("field").is_none());
    }

    #[test]
    fn hostile_text_stays_inside_its_member() {
        let document = parsed(&Problem::new(Code::UnknownField).field("\",\"status\":200,\"\n\u{0}"));
        assert_eq!(document["status"], 422);
        assert_eq!(document["field"], "\",\"status\":200,\"\n\u{0}");
    }

    #[test]
    fn logs_show_code_detail_and_field() {
        assert_eq!(Problem::invalid("url", "too long").to_string(), "VALIDATION_FAILED: too long (field url)");
    }
}
