//! What operators do, one thing a file: load, decide, save with its row of the audit log, announce.

pub(crate) mod block;
pub(crate) mod change_key;
pub(crate) mod change_partner;
pub(crate) mod create_admin_key;
pub(crate) mod create_key;
pub(crate) mod create_partner;
pub(crate) mod delete_key;
mod key_audit;
pub(crate) mod override_flag;
pub(crate) mod replay;
pub(crate) mod revoke_admin_key;
pub(crate) mod rotate_key;
pub(crate) mod switch_key;
pub(crate) mod write_event_type;
