//! Programs of other people that judge ours: a Python with the packages of `requirements.txt`, Node, Go.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Our folder.
#[must_use]
pub fn tests_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository.
///
/// # Panics
/// Never: the folder of the tests lies in it.
#[must_use]
pub fn repository() -> &'static Path {
    tests_folder().parent().unwrap()
}

/// The Python that has the outside verifiers installed.
///
/// # Panics
/// When it is missing; the message says how to install it.
#[must_use]
pub fn python() -> PathBuf {
    let given = std::env::var_os("ONERING_TEST_PYTHON").map(PathBuf::from);
    let python = given.unwrap_or_else(|| repository().join(".tools/python/bin/python"));
    assert!(python.is_file(), "{} is missing: `make tools-python` installs it", python.display());
    python
}

/// The `onering` command, of the same build as this test.
///
/// # Panics
/// When it is not built; the message says how to.
#[must_use]
pub fn onering_binary() -> PathBuf {
    onering_testkit::binary_path("onering")
}

/// `psql`: it comes with the Postgres that the tests start, be that installed or unpacked.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn psql() -> PathBuf {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let versions = [Path::new("/usr/lib/postgresql").to_owned(), repository().join(".tools/usr/lib/postgresql")];
    let packaged = versions.into_iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let folders = packaged.map(|version| version.path().join("bin")).chain(on_path);
    let programs = folders.map(|folder| folder.join("psql"));
    programs.into_iter().find(|program| program.is_file()).expect("psql is missing: deploy/dev/install-servers.sh")
}

/// A Node script of ours, whose packages are installed.
///
/// # Panics
/// When they are not; the message says how to install them.
#[must_use]
pub fn node_script(name: &str) -> PathBuf {
    let folder = tests_folder().join("node");
    assert!(
        folder.join("node_modules").is_dir(),
        "{}/node_modules is missing: `make tools-node` installs it",
        folder.display()
    );
    folder.join(name)
}

/// Whether a program is on the `PATH`.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// What a program that was run has said.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 when it was killed.
    pub code: i32,
    /// What it printed, standard error last.
    pub text: String,
}

/// Runs a program in a folder with this standard input.
///
/// # Panics
/// When it cannot be started.
pub async fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
    folder: &Path,
    input: &[u8],
) -> Ran {
    let program = program.as_ref();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    let mut standard_input = child.stdin.take().unwrap();
    // A program that does not read its input to the end has its reasons, and an exit code to tell them.
    let _written = standard_input.write_all(input).await;
    drop(standard_input);
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ran { code: output.status.code().unwrap_or(-1), text }
}
