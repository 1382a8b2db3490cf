//! The data directory: made once by `initdb`, with its password.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::options::{Auth, Durability, PostgresOptions};
use crate::ServerError;
use crate::binaries::Program;
use crate::directory::{Placement, place};

/// The superuser of every cluster we make.
pub(crate) const USER: &str = "onering";
/// Where data goes when the account of Postgres cannot enter the directory chosen.
const FALLBACK_ROOT: &str = "/var/tmp";

/// A data directory that is ready to be served.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) placement: Placement,
    pub(crate) password: Option<Password>,
}

/// The superuser's password.
pub(crate) struct Password(pub(crate) String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Cluster {
    /// Finds the cluster of `options.dir`, or makes it.
    pub(crate) async fn ensure(options: &PostgresOptions, program: &Program) -> Result<Self, ServerError> {
        let placement = place(&options.dir, Path::new(FALLBACK_ROOT))?;
        let password = match options.auth {
            Auth::Trust => None,
            Auth::Password => Some(ensure_password(&options.dir.join("password"))?),
        };
        let cluster = Self { placement, password };
        if !cluster.placement.data.join("PG_VERSION").exists() {
            cluster.initialise(options, program).await?;
        }
        Ok(cluster)
    }

    /// Runs `initdb` beside the final place and renames, so that one that was cut short leaves no half cluster.
    async fn initialise(&self, options: &PostgresOptions, program: &Program) -> Result<(), ServerError> {
        let (data, account) = (&self.placement.data, self.placement.account);
        let unfinished = data.with_extension("unfinished");
        remove_tree(&unfinished)?;
        DirBuilder::new()
            .mode(0o700)
            .create(&unfinished)
            .map_err(ServerError::io("create the directory", &unfinished))?;
        account.own(&unfinished)?;
        let method = if self.password.is_some() { "scram-sha-256" } else { "trust" };
        let mut command = Command::new(program.sibling("initdb"));
        command.arg("--pgdata").arg(&unfinished).args([
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--auth",
            method,
        ]);
        command.arg(format!("--username={USER}")).current_dir("/").envs(program.environment());
        if options.durability == Durability::ProcessCrashOnly {
            command.arg("--no-sync");
        }
        // Our own file is closed to the account of Postgres; it gets a copy that lives as long as `initdb`.
        let password_copy = data.with_extension("password");
        if let Some(password) = &self.password {
            write_private(&password_copy, &password.0)?;
            account.own(&password_copy)?;
            command.arg("--pwfile").arg(&password_copy);
        }
        account.apply(&mut command);
        let run = move || command.stdin(Stdio::null()).output();
        let ran = tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        // Absent where there is no password.
        let _ = std::fs::remove_file(&password_copy);
        let output = ran.map_err(ServerError::io("run", program.sibling("initdb")))?;
        if !output.status.success() {
            let text =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            remove_tree(&unfinished)?;
            return Err(ServerError::InitDb { data: data.clone(), status: output.status, output: text });
        }
        std::fs::rename(&unfinished, data).map_err(ServerError::io("rename to its final name", &unfinished))
    }
}

/// Removes a directory tree; absence is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), ServerError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ServerError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The password in `path`, made from the system's randomness when there is none.
fn ensure_password(path: &Path) -> Result<Password, ServerError> {
    if let Ok(text) = std::fs::read_to_string(path)
        && !text.trim().is_empty()
    {
        return Ok(Password(text.trim().to_owned()));
    }
    let mut bytes = [0_u8; 24];
    let source = Path::new("/dev/urandom");
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(ServerError::io("read", source))?;
    let password = hex::encode(bytes);
    write_private(path, &password)?;
    Ok(Password(password))
}

/// Writes a new file that only its owner can read.
fn write_private(path: &Path, text: &str) -> Result<(), ServerError> {
    // An older file may be open to others or be a link; a new one is neither.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(ServerError::io("remove", path)(error));
        }
        _ => {}
    }
    let mut file =
        File::options().write(true).create_new(true).mode(0o600).open(path).map_err(ServerError::io("create", path))?;
    file.write_all(text.as_bytes()).map_err(ServerError::io("write", path))
}
