//! The directory the test processes of a checkout share, and the scratch directories in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, test_kill_process};

/// `<target>/testkit`, created.
pub(crate) fn run_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = target_directory().join("testkit");
        std::fs::create_dir_all(directory.join("scratch"))
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", directory.display()));
        directory
    })
}

/// Cargo's target directory: where the running program lies, else as Cargo is told.
fn target_directory() -> PathBuf {
    if let Some(profile) = profile_directory()
        && let Some(target) = profile.parent()
    {
        return target.to_owned();
    }
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// `<target>/<profile>`, where the workspace's binaries are: above the folder of the running test
/// (`<target>/<profile>/deps/<test>`), or the folder of the running binary itself.
pub(crate) fn profile_directory() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    let folder = executable.parent()?;
    if folder.file_name()? == "deps" {
        return folder.parent().map(Path::to_owned);
    }
    // Cargo leaves this file in its target directory; anywhere else is where the program was copied to.
    folder.ancestors().any(|above| above.join("CACHEDIR.TAG").is_file()).then(|| folder.to_owned())
}

/// Where `install-servers.sh` unpacks packages it may not install.
pub(crate) fn tools_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools")
}

/// Opens a file of the run directory for locking.
pub(crate) fn lock_file(name: &str) -> File {
    let path = run_directory().join(name);
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

/// A directory of one test, removed when it ends.
#[derive(Debug)]
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later test process.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new empty directory whose name holds `label`.
#[must_use]
pub fn scratch_dir(label: &str) -> ScratchDir {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let scratch = run_directory().join("scratch");
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        remove_abandoned(&scratch);
    }
    let path = scratch.join(format!("{}-{number}-{label}", std::process::id()));
    // An earlier process may have had our number and have been killed.
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
    ScratchDir(path)
}

/// Removes what test processes that were killed have left behind.
fn remove_abandoned(scratch: &Path) {
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next()?.parse().ok()).and_then(Pid::from_raw);
        if owner.is_some_and(|pid| test_kill_process(pid).is_err()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
