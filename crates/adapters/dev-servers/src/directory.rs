//! The directory of one server: who holds it, and where its data lies.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ServerError;
use crate::account::Account;

/// An exclusive hold on a server's directory; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates `dir` when absent and takes it.
    pub(crate) fn take(dir: &Path) -> Result<Self, ServerError> {
        std::fs::create_dir_all(dir).map_err(ServerError::io("create the directory", dir))?;
        let path = dir.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(ServerError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ServerError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(ServerError::Io { operation: "lock", path, source }),
        }
    }
}

/// Where the data of a server with directory `dir` lies, and why if not in `dir`.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) account: Account,
    pub(crate) data: PathBuf,
    pub(crate) notice: Option<String>,
}

/// Chooses the account and the data directory for a Postgres with directory `dir`, which must exist.
///
/// When root starts it, Postgres runs under another account, which often cannot enter a home directory. Then the data
/// goes to a directory of that account under `fallback_root`, named by a hash of `dir` so that it is found again.
pub(crate) fn place(dir: &Path, fallback_root: &Path) -> Result<Placement, ServerError> {
    let dir = dir.canonicalize().map_err(ServerError::io("resolve", dir))?;
    let data = dir.join("data");
    let account = Account::for_postgres(&data)?;
    if account == Account::Own || account.can_enter(&dir) {
        return Ok(Placement { account, data, notice: None });
    }
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let home = fallback_root.join(format!("onering-{}", hex::encode(&digest[..8])));
    let account = Account::for_postgres(&home)?;
    claim(&home, account)?;
    let home = home.canonicalize().map_err(ServerError::io("resolve", &home))?;
    let notice = format!(
        "{} cannot be entered by the account Postgres runs under (it does not run as root); the data is in {}",
        dir.display(),
        home.display()
    );
    Ok(Placement { account, data: home.join("data"), notice: Some(notice) })
}

/// Makes `home` a directory of `account` that nobody else can use; refuses one that somebody else made.
fn claim(home: &Path, account: Account) -> Result<(), ServerError> {
    match DirBuilder::new().mode(0o700).create(home) {
        Ok(()) => account.own(home),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let metadata = home.symlink_metadata().map_err(ServerError::io("examine", home))?;
            if metadata.is_dir() && account.owns(&metadata) {
                Ok(())
            } else {
                Err(ServerError::ForeignDirectory { path: home.to_owned() })
            }
        }
        Err(source) => Err(ServerError::Io { operation: "create the directory", path: home.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(dir.path()).unwrap();
        assert!(matches!(DirectoryLock::take(dir.path()), Err(ServerError::InUse { .. })));
        drop(first);
        DirectoryLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_closed_directory_moves_the_data_and_says_so() {
        let (closed, fallback) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(fallback.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let placement = place(closed.path(), fallback.path()).unwrap();
        if !rustix::process::geteuid().is_root() {
            assert_eq!(placement.data, closed.path().canonicalize().unwrap().join("data"));
            return;
        }
        assert!(placement.data.starts_with(fallback.path()));
        assert!(placement.notice.unwrap().contains("cannot be entered"));
        let again = place(closed.path(), fallback.path()).unwrap();
        assert_eq!(again.data, placement.data, "the same directory leads to the same data");
    }

    #[test]
    fn a_link_in_place_of_the_fallback_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("onering-x");
        std::os::unix::fs::symlink("/tmp", &home).unwrap();
        assert!(matches!(claim(&home, Account::Own), Err(ServerError::ForeignDirectory { .. })));
    }
}
