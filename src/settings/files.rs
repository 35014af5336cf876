//! The files from which a configuration was read, with digests to detect changes.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use crate::clock::Timestamp;

/// A file, and the digest of its content when it was read.
#[derive(Clone, Debug)]
pub struct WatchedFile {
    /// Its path.
    pub path: PathBuf,
    /// When it had last been changed at that time.
    pub modified: Option<Timestamp>,
    /// The SHA-256 of its content; `None` if it could not be read.
    digest: Option<Vec<u8>>,
}

impl WatchedFile {
    /// Reads a file: its digest, and its content or the error.
    pub fn read(path: &Path) -> (Self, io::Result<Vec<u8>>) {
        let read = std::fs::read(path);
        let digest = read.as_ref().ok().map(|bytes| digest::digest(&digest::SHA256, bytes).as_ref().to_vec());
        let modified = std::fs::metadata(path).and_then(|found| found.modified()).ok();
        (Self { path: path.to_owned(), modified: modified.map(Timestamp::from_system_time), digest }, read)
    }

    /// The file in its current state. A pipe is not read again: that would block
    /// until something is written to it.
    pub fn now(&self) -> Self {
        if self.is_pipe() { self.clone() } else { Self::read(&self.path).0 }
    }

    /// Whether the content can be read only once, as that of a pipe.
    pub fn is_pipe(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file())
    }
}

/// Compares only contents.
impl PartialEq for WatchedFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.digest) == (&other.path, &other.digest)
    }
}

impl Eq for WatchedFile {}

/// The mode of a file with a secret, if it permits more than 640.
pub(crate) fn too_open_mode(path: &Path) -> Option<u32> {
    const GROUP_AND_OTHERS: u32 = 0o077;
    const GROUP_READ: u32 = 0o040;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & GROUP_AND_OTHERS & !GROUP_READ != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0o600, false)]
    #[case(0o400, false)]
    #[case(0o640, false)]
    #[case(0o440, false)]
    #[case(0o660, true)]
    #[case(0o650, true)]
    #[case(0o604, true)]
    #[case(0o602, true)]
    #[case(0o601, true)]
    #[case(0o644, true)]
    fn a_mode_beyond_640_is_too_open(#[case] mode: u32, #[case] is_too_open: bool) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(too_open_mode(file.path()), is_too_open.then_some(mode));
    }
}
