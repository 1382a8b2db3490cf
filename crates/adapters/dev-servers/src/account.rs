//! Which account runs Postgres: it refuses to be root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ServerError;

/// The account a server process runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The one we run under.
    Own,
    /// Another, which only root can switch to.
    Other {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Account {
    /// The account for a Postgres whose data lies (or will lie) in `data`.
    ///
    /// As root, data that exists is served by its owner, so that `sudo make up` after `make up` works.
    pub(crate) fn for_postgres(data: &Path) -> Result<Self, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        if let Ok(metadata) = data.metadata()
            && metadata.uid() != 0
        {
            return Ok(Self::Other { uid: metadata.uid(), gid: metadata.gid() });
        }
        let passwd = Path::new("/etc/passwd");
        let text = std::fs::read_to_string(passwd).map_err(ServerError::io("read", passwd))?;
        ["postgres", "nobody"].into_iter().find_map(|name| in_passwd(&text, name)).ok_or(ServerError::NoAccount)
    }

    /// Whether this account may enter `dir`; asked of the system, so access lists count as well.
    pub(crate) fn can_enter(self, dir: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(dir).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    /// Makes `command` run under this account.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// A command prefix that switches to this account, for command lines another program will start.
    pub(crate) fn prefix(self) -> Vec<String> {
        match self {
            Self::Own => Vec::new(),
            Self::Other { uid, gid } => {
                vec![
                    "setpriv".to_owned(),
                    format!("--reuid={uid}"),
                    format!("--regid={gid}"),
                    "--clear-groups".to_owned(),
                ]
            }
        }
    }

    /// Gives `path` to this account.
    pub(crate) fn own(self, path: &Path) -> Result<(), ServerError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .map_err(ServerError::io("change the owner of", path)),
        }
    }

    /// Whether `metadata` is of something that belongs to this account.
    pub(crate) fn owns(self, metadata: &std::fs::Metadata) -> bool {
        match self {
            Self::Own => metadata.uid() == rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => metadata.uid() == uid,
        }
    }
}

/// The account called `name` in the text of a passwd file.
fn in_passwd(text: &str, name: &str) -> Option<Account> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_account_by_its_whole_name() {
        let text = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:PG:/var/lib/postgresql:/bin/sh\n";
        assert_eq!(in_passwd(text, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(in_passwd(text, "nobody"), None);
    }

    #[test]
    fn a_garbled_line_is_no_account() {
        assert_eq!(in_passwd("postgres:x:many:104:::\n", "postgres"), None);
        assert_eq!(in_passwd("postgres\n", "postgres"), None);
    }
}
