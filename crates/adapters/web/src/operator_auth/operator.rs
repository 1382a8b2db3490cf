//! An operator as an argument of a handler, with the permission in its type.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use onering_ids::AdminKeyId;
use onering_keys::Role;
use onering_problem::{Code, Problem};

use super::authentication::{KnownOperator, OperatorAuth};
use super::jwt::Claims;
use crate::api_error::ApiError;

/// What a handler asks of its operator.
pub trait Permission: sealed::Sealed + 'static {
    /// The least role that has it.
    const ROLE: Role;
}

/// May read.
#[derive(Debug, Clone, Copy)]
pub struct Viewer;

/// May act.
#[derive(Debug, Clone, Copy)]
pub struct OperatorRole;

/// May manage admin keys.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl Permission for Viewer {
    const ROLE: Role = Role::Viewer;
}

impl Permission for OperatorRole {
    const ROLE: Role = Role::Operator;
}

impl Permission for Admin {
    const ROLE: Role = Role::Admin;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Viewer {}
    impl Sealed for super::OperatorRole {}
    impl Sealed for super::Admin {}
}

/// Who acts; what the audit log names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// The admin key's name and id, or the subject of a JWT.
    pub actor: String,
    /// The role it acts with.
    pub role: Role,
    /// The admin key, where it came with one.
    pub admin_key_id: Option<AdminKeyId>,
}

impl OperatorIdentity {
    pub(super) fn anonymous(role: Role) -> Self {
        Self { actor: "anonymous".to_owned(), role, admin_key_id: None }
    }

    pub(super) fn of_key(key: &KnownOperator) -> Self {
        let actor = format!("{} ({})", key.name, key.admin_key_id);
        Self { actor, role: key.role, admin_key_id: Some(key.admin_key_id) }
    }

    pub(super) fn of_claims(claims: &Claims) -> Self {
        Self { actor: format!("jwt:{}", claims.subject), role: claims.role, admin_key_id: None }
    }
}

/// An operator who has the permission `P`. Only a request can bring one; there is no other way to make it.
///
/// As an argument of a handler it refuses with `UNAUTHORIZED` (401) who is not recognised, and with `FORBIDDEN` (403),
/// naming the role, who may not.
pub struct Operator<P: Permission> {
    identity: OperatorIdentity,
    permission: PhantomData<P>,
}

impl<P: Permission> Deref for Operator<P> {
    type Target = OperatorIdentity;

    fn deref(&self) -> &OperatorIdentity {
        &self.identity
    }
}

impl<P: Permission> fmt::Debug for Operator<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(formatter)
    }
}

impl<P: Permission> FromRequest for Operator<P> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let auth = request.app_data::<web::Data<OperatorAuth>>().ok_or_else(|| {
                ApiError::internal("a handler asks for an operator where no OperatorAuth is configured")
            })?;
            let identity = auth.identify(&request).await?;
            if !identity.role.allows(P::ROLE) {
                let detail = format!("This needs the role {}; the credential has {}.", P::ROLE, identity.role);
                return Err(Problem::new(Code::Forbidden).detail(detail).into());
            }
            Ok(Self { identity, permission: PhantomData })
        })
    }
}
