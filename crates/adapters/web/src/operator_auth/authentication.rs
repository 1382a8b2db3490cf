//! From a credential to an operator.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::HttpRequest;
use onering_clock::Clock;
use onering_ids::AdminKeyId;
use onering_keys::{AdminToken, Role, TokenDigest};
use onering_problem::{Code, Problem};

use super::credential::Credential;
use super::jwt::JwtVerifier;
use super::operator::OperatorIdentity;
use crate::api_error::ApiError;

/// Why a look-up has no answer; for the log.
pub type LookUpError = Box<dyn Error + Send + Sync>;

/// An admin key as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOperator {
    /// Which key.
    pub admin_key_id: AdminKeyId,
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Where admin keys are looked up. Any `Fn(TokenDigest) -> Future` is one.
pub trait OperatorDirectory: Send + Sync + 'static {
    /// The live admin key with this digest; `None` for unknown, revoked and expired ones. Called on HTTP workers.
    fn look_up(&self, digest: TokenDigest) -> Pin<Box<dyn Future<Output = LookUp> + Send + '_>>;
}

type LookUp = Result<Option<KnownOperator>, LookUpError>;

impl<F, Found> OperatorDirectory for F
where
    F: Fn(TokenDigest) -> Found + Send + Sync + 'static,
    Found: Future<Output = LookUp> + Send + 'static,
{
    fn look_up(&self, digest: TokenDigest) -> Pin<Box<dyn Future<Output = LookUp> + Send + '_>> {
        Box::pin(self(digest))
    }
}

/// How operators are recognised; give it to the application as `web::Data<OperatorAuth>`.
#[derive(Clone)]
pub struct OperatorAuth {
    directory: Arc<dyn OperatorDirectory>,
    clock: Clock,
    jwt: Option<JwtVerifier>,
    open: Option<Role>,
}

impl OperatorAuth {
    /// Recognises the admin keys of a directory.
    pub fn new(directory: impl OperatorDirectory, clock: Clock) -> Self {
        Self { directory: Arc::new(directory), clock, jwt: None, open: None }
    }

    /// Recognises JWTs too.
    #[must_use]
    pub fn with_jwt(mut self, verifier: JwtVerifier) -> Self {
        self.jwt = Some(verifier);
        self
    }

    /// Gives this role to whoever comes without a credential: for the dev stack's monitoring, nothing else.
    #[must_use]
    pub const fn open_to_all_as(mut self, role: Role) -> Self {
        self.open = Some(role);
        self
    }

    /// Who made the request.
    ///
    /// # Errors
    /// `UNAUTHORIZED` (401) without a good credential, `DEPENDENCY_UNAVAILABLE` (503) where the directory has no answer.
    pub async fn identify(&self, request: &HttpRequest) -> Result<OperatorIdentity, ApiError> {
        let text = match (Credential::of(request.headers()), self.open) {
            (Credential::Missing, Some(role)) => return Ok(OperatorIdentity::anonymous(role)),
            (Credential::Missing, None) => return Err(Code::Unauthorized.into()),
            (Credential::Garbled, _) => return Err(refused().into()),
            (Credential::Sent(text), _) => text,
        };
        if let Ok(token) = AdminToken::parse(text) {
            let known = self.directory.look_up(token.digest()).await.map_err(ApiError::unavailable)?;
            return known.as_ref().map(OperatorIdentity::of_key).ok_or_else(|| refused().into());
        }
        let verifier = self.jwt.as_ref().filter(|_| JwtVerifier::looks_like_one(text));
        let claims = verifier.and_then(|verifier| verifier.verify(text, self.clock.now().timestamp()));
        claims.as_ref().map(OperatorIdentity::of_claims).ok_or_else(|| refused().into())
    }
}

/// One answer for every bad credential: it does not tell which part was right.
fn refused() -> Problem {
    Problem::new(Code::Unauthorized).detail("The credential is not valid: it is unknown, expired or revoked.")
}

impl fmt::Debug for OperatorAuth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OperatorAuth").field("jwt", &self.jwt).field("open", &self.open).finish_non_exhaustive()
    }
}
