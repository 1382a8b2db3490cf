use onering_ids::OwnerId;

use crate::audit_stamp::AuditStamp;

/// On whose behalf an operation runs, and so what exists for it.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// A partner: only what it owns exists. Its changes leave no row in the audit log, which is of operators.
    Owner(&'a OwnerId),
    /// An operator: everything exists, and whatever it changes is written down under its name.
    AnyOwner(&'a AuditStamp),
}

impl<'a> Scope<'a> {
    /// The one owner whose things exist; `None` for operators.
    #[must_use]
    pub const fn owner(self) -> Option<&'a OwnerId> {
        match self {
            Self::Owner(owner) => Some(owner),
            Self::AnyOwner(_) => None,
        }
    }

    /// Who is to be named in the audit log.
    #[must_use]
    pub const fn stamp(self) -> Option<&'a AuditStamp> {
        match self {
            Self::Owner(_) => None,
            Self::AnyOwner(stamp) => Some(stamp),
        }
    }

    /// Whether things of `owner` exist.
    #[must_use]
    pub fn covers(self, owner: &OwnerId) -> bool {
        self.owner().is_none_or(|own| own == owner)
    }
}
