//! The files that a configuration was read from, and whether they still are
//! what they were.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest;

/// A file, and what it held when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFile {
    /// Where it is.
    pub path: PathBuf,
    /// The digest of what it held; none where it could not be read.
    digest: Option<Vec<u8>>,
}

impl SeenFile {
    /// Reads a file, once for what it holds and for what to compare with later.
    pub fn read(path: &Path) -> (Self, io::Result<Vec<u8>>) {
        let read = std::fs::read(path);
        let digest = read.as_ref().ok().map(|bytes| digest::digest(&digest::SHA256, bytes).as_ref().to_vec());
        (Self { path: path.to_owned(), digest }, read)
    }

    /// When it was last written to; none where that cannot be told.
    pub fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.path).and_then(|found| found.modified()).ok()
    }

    /// The same file as it is now. A pipe is read once; to read it again would
    /// wait for somebody to write.
    pub fn now(&self) -> Self {
        match std::fs::metadata(&self.path) {
            Ok(found) if !found.is_file() => self.clone(),
            Ok(_) | Err(_) => Self::read(&self.path).0,
        }
    }
}
