//! Runs the program for one command, to its end.

use std::io::Write;
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

/// A configuration file in a folder that lasts as long as the value.
pub struct File {
    folder: TempDir,
}

impl File {
    /// Writes it.
    pub fn new(toml: &str) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        std::fs::write(file.path(), toml).unwrap();
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
