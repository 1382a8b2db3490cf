use onering_problem::{Code, Problem};
use onering_secrets::SealError;
use onering_store::StoreError;
use onering_web::ApiError;

/// Why an operation did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The caller asked for what cannot be; the problem says what, and may be shown.
    #[error("refused: {0}")]
    Refused(#[from] Problem),
    /// The store failed; nothing of this may be shown.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A new secret could not be sealed.
    #[error("a new secret cannot be sealed")]
    Seal(#[from] SealError),
    /// A view could not be written as JSON for the audit log.
    #[error("a state cannot be written into the audit log")]
    AuditState(#[from] serde_json::Error),
}

impl OperationError {
    /// Something that is not there, or not the caller's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::Refused(Problem::not_found(what))
    }

    /// The request does not fit the present state.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::Refused(Problem::new(Code::Conflict).detail(detail))
    }
}

/// What the caller is told: a refusal as it is, of failures only whether trying again may help.
impl From<OperationError> for ApiError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(problem) => Self::new(problem),
            OperationError::Store(cause) if cause.is_transient() => Self::unavailable(cause),
            OperationError::Store(cause @ StoreError::Conflict { .. }) => {
                Self::new(Problem::new(Code::Conflict)).caused_by(cause)
            }
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: OperationError) -> Code {
        ApiError::from(error).problem().code
    }

    #[test]
    fn the_caller_learns_only_what_helps() {
        assert_eq!(code(OperationError::not_found("subscription")), Code::NotFound);
        assert_eq!(code(OperationError::conflict("It is paused.")), Code::Conflict);
        let away = StoreError::Pool { source: "postgres://secret".into() };
        let told = ApiError::from(OperationError::Store(away));
        assert_eq!((told.problem().code, told.problem().retry_after), (Code::DependencyUnavailable, Some(1)));
        assert!(!told.to_string().contains("secret"));
        let taken = StoreError::Conflict { operation: "test", constraint: None };
        assert_eq!(code(taken.into()), Code::Conflict);
        assert_eq!(code(StoreError::NotFound { what: "row" }.into()), Code::Internal);
    }
}
