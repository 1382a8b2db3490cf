//! The switches in force in this process, from their three sources, a second after any of them changes at the latest.
//!
//! Start at [`FlagsHandle::start`]. The environment is read once (by `onering-settings`); the files of
//! `ONERING_FLAGS_DIR` are watched here; the runtime overrides are read by whoever can reach Postgres and handed in with
//! [`FlagsHandle::set_overrides`]. How the three merge is `onering_rollout::resolve`'s business.
//!
//! The directory is made for a mounted ConfigMap. The kubelet never writes its files: it points the link `..data` at a
//! new directory and removes the old one. A watch on a file would follow the old directory into oblivion at the second
//! change, so the directory is watched, and its contents are compared twice a second as well, because watches fail in
//! silence on some file systems.
//!
//! Invariants: what cannot be read keeps its last good value, and where there is none yet, its narrowest one; as long as
//! the overrides are not known, everything is closed; each change of the switches has the next generation, which
//! receipts report.
//!
//! Deliberately absent: reading or writing the overrides and the receipts (`onering-store`), hearing that they changed
//! (`onering-queue`), and metrics: [`FlagsHandle::failures`] is what `onering_config_reload_failed` is made from.

mod directory;
mod handle;
#[cfg(test)]
mod kubelet;
mod watch;

pub use directory::{ReloadFailure, Unreadable};
pub use handle::{Applied, FlagsHandle};
