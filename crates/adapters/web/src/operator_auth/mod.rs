//! Who operates the platform, and with which role: shared by the admin and the monitoring service.
//!
//! A handler that takes `Operator<Admin>` cannot be reached by a lesser role, and one without an [`Operator`] argument has
//! no identity to write into the audit log: forgetting a permission does not compile further down.

mod authentication;
mod credential;
mod jwt;
mod operator;

pub use authentication::{KnownOperator, LookUpError, OperatorAuth, OperatorDirectory};
pub use jwt::{JwtVerifier, WeakJwtSecret};
pub use operator::{Admin, Operator, OperatorIdentity, OperatorRole, Permission, Viewer};
