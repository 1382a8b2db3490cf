//! Finding the programs that references are taken with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where `install-servers.sh` unpacks packages that it may not install.
const TOOLS: &str = ".tools";
/// Where programs are that are not on the search path: administrators' ones, PostgreSQL's of each version, and what
/// `install-servers.sh` has unpacked.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", ".tools/usr/sbin", ".tools/usr/bin"];
const FOLDERS_OF_POSTGRES: [&str; 2] = ["/usr/lib/postgresql", ".tools/usr/lib/postgresql"];

/// The path of a program, if it is installed.
#[expect(clippy::disallowed_methods, reason = "the search path is where programs are looked for")]
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let versions = FOLDERS_OF_POSTGRES.map(std::fs::read_dir).into_iter().flatten().flatten().flatten();
    let folders = on_path
        .unwrap_or_default()
        .into_iter()
        .chain(FOLDERS.map(PathBuf::from))
        .chain(versions.map(|entry| entry.path().join("bin")));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Where a program out of unpacked packages finds its libraries, for `LD_LIBRARY_PATH`; `None` for one that is installed.
pub(super) fn library_path(program: &Path) -> Option<OsString> {
    let tools = program.ancestors().find(|folder| folder.ends_with(TOOLS))?.canonicalize().ok()?;
    let triplets = ["usr/lib", "lib"].map(|base| std::fs::read_dir(tools.join(base))).into_iter().flatten().flatten();
    let folders = triplets.flatten().map(|entry| entry.path());
    std::env::join_paths(folders.filter(|path| path.to_string_lossy().ends_with("-gnu"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacked_packages_bring_their_libraries() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join(TOOLS);
        std::fs::create_dir_all(tools.join("usr/lib/x86_64-linux-gnu")).unwrap();
        std::fs::create_dir_all(tools.join("usr/lib/nginx")).unwrap();
        let found = library_path(&tools.join("usr/sbin/nginx")).unwrap();
        assert!(Path::new(&found).ends_with("usr/lib/x86_64-linux-gnu"), "{found:?}");
        assert_eq!(library_path(Path::new("/usr/sbin/nginx")), None);
    }
}
