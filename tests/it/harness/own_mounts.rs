//! File systems for one test, such as small or read-only ones. The test runs again in a process
//! with its own mounts, which exist until it ends.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::command::run_program;

/// Set in the process with its own mounts.
const INSIDE: &str = "TEST_HAS_OWN_MOUNTS";

/// Whether this process has its own mounts. If not, runs the test with this path in a process that
/// has, and fails if that fails.
pub fn entered(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let output = Command::new("unshare")
        .args([if is_root { "-m" } else { "-rm" }, "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let written = [output.stdout, output.stderr].concat();
    let written = String::from_utf8_lossy(&written);
    assert!(output.status.success() && written.contains("1 passed"), "{written}");
    false
}

/// Mounts a file system of this size.
pub fn small_disk(size: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    run_program("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", path]);
    folder
}

/// Remounts it with `ro` or `rw`.
pub fn remount(folder: &TempDir, mode: &str) {
    run_program("mount", &["-o", &format!("remount,{mode}"), folder.path().to_str().unwrap()]);
}
