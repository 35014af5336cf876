//! Writes the files of a plan: all or none. A file is never left incomplete.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::plan::{Content, PlannedFile};
use crate::config::placeholders::TRIAL_SECRET;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It did not exist, and was written.
    New,
    /// It existed, and was replaced.
    Replaced,
    /// It existed, and was kept.
    Kept,
}

/// The files that exist already.
pub(super) fn existing(files: &[PlannedFile]) -> Vec<&Path> {
    files.iter().map(|file| file.path.as_path()).filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// Writes files. With `replace`, existing files are replaced, except secrets, which may be in use.
/// After a failure, the new files are removed again.
pub(super) fn write_all(files: &[PlannedFile], replace: bool) -> anyhow::Result<Vec<Written>> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let written = write(file, replace)
            .with_context(|| format!("the file {} cannot be written", file.path.display()));
        match written {
            Ok(written) => all.push(written),
            Err(error) => {
                for (file, _) in files.iter().zip(all).filter(|(_, written)| *written == Written::New) {
                    // the first failure is the one to report
                    let _ = std::fs::remove_file(&file.path);
                }
                return Err(error);
            }
        }
    }
    Ok(all)
}

/// Writes a file under a temporary name and renames it, so that it is always complete, and a
/// symbolic link is replaced and not followed.
fn write(PlannedFile { path, content, .. }: &PlannedFile, replace: bool) -> anyhow::Result<Written> {
    let found = path.symlink_metadata().ok();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let text = match content {
        Content::Secret { .. } if replace && found.is_some() => return Ok(Written::Kept),
        Content::Secret { is_trial } => {
            options.mode(0o600);
            let prefix = if *is_trial { TRIAL_SECRET } else { "" };
            format!("{prefix}{}", random_text()?)
        }
        Content::Text(text) => text.clone(),
    };
    if found.is_some() && !replace {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file =
        options.open(&temporary).with_context(|| format!("{} cannot be created", temporary.display()))?;
    let written = found
        .as_ref()
        .filter(|found| found.is_file())
        .map_or(Ok(()), |found| {
            // only root may change a file's owner, so a failure is ignored
            let _ = fchown(&file, Some(found.uid()), Some(found.gid()));
            file.set_permissions(found.permissions())
        })
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| File::sync_all(&file))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // the first failure is the one to report
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    Ok(if found.is_some() { Written::Replaced } else { Written::New })
}

/// A folder that only this process and user can access, removed when it is dropped.
pub(super) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Creates one within this folder.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(format!(".marketplace-sso-init-{}", std::process::id()));
        let created = DirBuilder::new().mode(0o700).create(&path);
        created.with_context(|| format!("the folder {} cannot be created", path.display()))?;
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // a drop cannot report
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 32 random bytes in hexadecimal.
fn random_text() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).context("the system has no random bytes")?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
