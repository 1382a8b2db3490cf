//! Finding the servers' programs: `PATH`, the distributions' directories, then the directory of unpacked packages.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::ServerError;

/// A program, and what it needs to find its libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// `LD_LIBRARY_PATH` for a program out of unpacked packages.
    pub(crate) library_path: Option<OsString>,
}

impl Program {
    /// The program `name` of the same installation.
    pub(crate) fn sibling(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// The environment the program needs beyond ours.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![("LC_ALL", OsString::from("C"))];
        if let Some(path) = &self.library_path {
            variables.push(("LD_LIBRARY_PATH", path.clone()));
        }
        variables
    }
}

/// Where to look; the directories are arguments so that a test can give its own.
pub(crate) struct Places<'a> {
    /// The value of `PATH`.
    pub(crate) search_path: Option<OsString>,
    /// The root under which distributions install.
    pub(crate) root: &'a Path,
    /// Where `install-servers.sh` unpacks packages when it may not install them.
    pub(crate) tools: Option<&'a Path>,
}

impl<'a> Places<'a> {
    /// This machine, and `tools`.
    #[expect(clippy::disallowed_methods, reason = "PATH says where programs are; it is no setting of ours")]
    pub(crate) fn of_this_machine(tools: Option<&'a Path>) -> Self {
        Self { search_path: std::env::var_os("PATH"), root: Path::new("/"), tools }
    }

    /// The Postgres server; its `initdb` stands beside it.
    pub(crate) fn postgres(&self) -> Result<Program, ServerError> {
        // A link may lead to the installation where its other programs are.
        self.on_path("postgres")
            .and_then(|program| Some(Program { path: program.path.canonicalize().ok()?, ..program }))
            .filter(|program| program.sibling("initdb").is_file())
            .or_else(|| newest_postgres(self.root).map(|path| Program { path, library_path: None }))
            .or_else(|| self.tools.and_then(|tools| Some(unpacked(tools, newest_postgres(tools)?))))
            .ok_or_else(|| self.not_found("Postgres", "DATABASE_URL"))
    }

    /// The Redis server.
    pub(crate) fn redis(&self) -> Result<Program, ServerError> {
        let in_root = |root: &Path| Some(root.join("usr/bin/redis-server")).filter(|path| path.is_file());
        self.on_path("redis-server")
            .or_else(|| in_root(self.root).map(|path| Program { path, library_path: None }))
            .or_else(|| self.tools.and_then(|tools| Some(unpacked(tools, in_root(tools)?))))
            .ok_or_else(|| self.not_found("Redis", "REDIS_URL"))
    }

    fn on_path(&self, name: &str) -> Option<Program> {
        let path = find_in(self.search_path.as_deref()?, name)?;
        Some(Program { path, library_path: None })
    }

    fn not_found(&self, server: &'static str, variable: &'static str) -> ServerError {
        let tools = self.tools.map_or_else(String::new, |tools| format!(" and {}", tools.display()));
        ServerError::NotFound { server, searched: format!("looked in PATH, the system's directories{tools}"), variable }
    }
}

/// The full path of `program` in the machine's `PATH`.
#[expect(clippy::disallowed_methods, reason = "PATH says where programs are; it is no setting of ours")]
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, program)
}

fn find_in(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The Postgres of the highest version under `root`, in Debian's layout.
fn newest_postgres(root: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            (bin.join("postgres").is_file() && bin.join("initdb").is_file()).then(|| (version, bin.join("postgres")))
        })
        .max()
        .map(|(_, path)| path)
}

/// A program out of packages unpacked under `tools`, with the directories its libraries may be in.
fn unpacked(tools: &Path, path: PathBuf) -> Program {
    let mut directories = Vec::new();
    for base in ["usr/lib", "lib"] {
        let base = tools.join(base);
        let triplets = std::fs::read_dir(&base).into_iter().flatten().flatten();
        directories.extend(triplets.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-gnu")));
        directories.push(base);
    }
    Program { path, library_path: std::env::join_paths(directories).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn takes_the_highest_version_as_a_number() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "100", "latest"] {
            touch(&root.path().join(format!("usr/lib/postgresql/{version}/bin/postgres")));
            touch(&root.path().join(format!("usr/lib/postgresql/{version}/bin/initdb")));
        }
        touch(&root.path().join("usr/lib/postgresql/200/bin/postgres"));
        let found = Places { search_path: None, root: root.path(), tools: None }.postgres().unwrap();
        assert!(found.path.ends_with("100/bin/postgres"), "{found:?}");
        assert_eq!(found.sibling("initdb"), root.path().join("usr/lib/postgresql/100/bin/initdb"));
    }

    #[test]
    fn unpacked_packages_bring_their_libraries() {
        let (root, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        touch(&tools.path().join("usr/bin/redis-server"));
        touch(&tools.path().join("usr/lib/x86_64-linux-gnu/liblzf.so.1"));
        let found = Places { search_path: None, root: root.path(), tools: Some(tools.path()) }.redis().unwrap();
        let library_path = found.library_path.unwrap();
        let first = std::env::split_paths(&library_path).next().unwrap();
        assert_eq!(first, tools.path().join("usr/lib/x86_64-linux-gnu"));
    }

    #[test]
    fn absence_says_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let error = Places { search_path: None, root: root.path(), tools: None }.postgres().unwrap_err().to_string();
        assert!(error.contains("make up") && error.contains("DATABASE_URL"), "{error}");
    }
}
