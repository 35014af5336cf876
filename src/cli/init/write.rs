//! Writes the files of a plan: all or none, where one exists already.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context as _;

use super::plan::{Content, PlannedFile};

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It was written.
    New,
    /// It was there, and is kept.
    Kept,
}

/// The files that exist already.
pub(super) fn existing(files: &[PlannedFile]) -> Vec<&Path> {
    files.iter().map(|file| file.path.as_path()).filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// Writes a file. With `replace`, one that exists is replaced, but a secret is kept: it may be the one
/// in use.
pub(super) fn write(file: &PlannedFile, replace: bool) -> anyhow::Result<Written> {
    let PlannedFile { path, content, .. } = file;
    let mut options = OpenOptions::new();
    options.write(true);
    match content {
        Content::Secret if replace && path.symlink_metadata().is_ok() => return Ok(Written::Kept),
        Content::Secret => options.create_new(true).mode(0o600),
        Content::Text(_) if replace => options.create(true).truncate(true),
        Content::Text(_) => options.create_new(true),
    };
    let text = match content {
        Content::Secret => random_text()?,
        Content::Text(text) => text.clone(),
    };
    let written = options.open(path).and_then(|mut file: File| file.write_all(text.as_bytes()));
    written.with_context(|| format!("the file {} cannot be written", path.display()))?;
    Ok(Written::New)
}

/// 32 random bytes in hexadecimal.
fn random_text() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).context("the system gives no random bytes")?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
