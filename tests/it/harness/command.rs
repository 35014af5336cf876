//! Runs the program with one command until it ends.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{PROGRAM, wait};

/// The exit status and output of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandResult {
    pub status: i32,
    pub output: String,
    pub errors: String,
}

/// Runs the program with these arguments, in a clean environment.
pub fn run(arguments: &[&str]) -> CommandResult {
    run_with(arguments, &[], "")
}

/// Like [`run`], with environment variables and a standard input.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> CommandResult {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command may end without reading its input
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || std::io::read_to_string(&mut errors).unwrap());
    let output = std::thread::spawn(move || std::io::read_to_string(&mut output).unwrap());
    let status = wait(&mut child).code().unwrap();
    CommandResult { status, output: output.join().unwrap(), errors: errors.join().unwrap() }
}

/// The exit status of a command whose standard output and error are closed pipes.
pub fn run_unread(arguments: &[&str], input: &str) -> i32 {
    let [output, errors] = [closed_pipe(), closed_pipe()];
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    wait(&mut child).code().unwrap()
}

/// The write end of a pipe whose read end is closed.
pub fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A configuration file, deleted when it goes out of scope.
pub struct File {
    folder: TempDir,
}

/// Replaces a file atomically. A file that is written in place is empty at first; if the writer
/// paused, a service could read the empty file.
pub fn replace_file(path: &Path, text: &str) {
    let folder = TempDir::new_in(path.parent().unwrap().parent().unwrap()).unwrap();
    let newer = folder.path().join("newer");
    std::fs::write(&newer, text).unwrap();
    std::fs::rename(&newer, path).unwrap();
}

/// Writes a file that only its owner may read: it may hold a secret.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

impl File {
    /// Writes a configuration file.
    pub fn new(toml: &str) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        write_private(&file.path(), toml);
        file
    }

    /// Its path.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder().join("sso.toml")
    }

    /// Its path as text.
    pub fn text(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Runs another program, and asserts that it succeeds.
pub fn run_program(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
}
