//! Runs the program for one command, to its end.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{PROGRAM, wait};

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub status: i32,
    pub output: String,
    pub errors: String,
}

/// Runs the program with these arguments, in a clean environment.
pub fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, &[], "")
}

/// The same, with environment variables and a standard input.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that ends without reading is no fault of the test
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || std::io::read_to_string(&mut errors).unwrap());
    let output = std::thread::spawn(move || std::io::read_to_string(&mut output).unwrap());
    let status = wait(&mut child).code().unwrap();
    Ran { status, output: output.join().unwrap(), errors: errors.join().unwrap() }
}

/// The status of the program when standard output and standard error are pipes
/// whose readers have gone.
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

/// A pipe to write into whose reader has gone.
pub fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A configuration file in a folder that lasts as long as the value.
pub struct File {
    folder: TempDir,
}

/// Writes a file that only its owner may read: it may hold a secret.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

impl File {
    /// Writes it.
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
