//! Reloads the configuration when one of its files changes, and at SIGHUP. All
//! of it is read again and swapped at once. A configuration with problems is
//! reported, and the previous one stays in use.
//!
//! Files are polled: this also covers what a watch on folders does not, such as
//! network file systems, and symbolic links whose target is replaced, by which
//! Kubernetes updates ConfigMaps and Secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::web;
use serde_json::{Value, json};
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use super::{self_test, served};
use crate::audit::Operation;
use crate::config::{Config, WatchedFile};
use crate::http::{Shared, Snapshot};
use crate::metrics::Reload;
use crate::sign_on::Entrance;

/// What distinguishes two versions of a file without reading it. Links are
/// followed, so a link to another file is another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of the content or the inode; unlike `modified`, it cannot be set.
    changed: (i64, i64),
}

/// The stamps of files by path; `None` where a file cannot be read.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// The time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Writers change a file in several steps: it is read when it has been
/// unchanged for this long.
const SETTLE_TIME: Duration = Duration::from_millis(150);

/// A file that keeps changing is read anyway after this many settle times.
const MAX_SETTLE_CHECKS: usize = 40;

/// Polls and reloads until aborted.
pub(super) async fn run(mut sighup: Signal, mut config: Config, shared: web::Data<Shared>) {
    // the files of the latest attempt, also where an older configuration is in use
    let mut files = config.files.clone();
    // empty, so the first poll compares the content of all files: one may have
    // changed since the configuration was read
    let mut stamps = Stamps::new();
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = sighup.recv() => {
                tracing::info!("SIGHUP: reading the configuration again");
                // they belong to the content before this
                stamps.clear();
            }
            _ = poll.tick() => {
                let current = stamps_of(&files);
                if !has_new_content(&files, &stamps, &current) {
                    stamps = current;
                    continue;
                }
                let settled = settle(&files).await;
                let has_new_content = has_new_content(&files, &stamps, &settled);
                stamps = settled;
                if !has_new_content {
                    continue;
                }
                tracing::info!("a file of the configuration has changed: reading it again");
            }
        }
        files = match reload(&config, &shared).await {
            Some(Ok(newer)) => {
                config = newer;
                config.files.clone()
            }
            Some(Err(tried)) => tried,
            None => continue,
        };
    }
}

/// Whether the content of a file differs from when it was read. Only files
/// whose stamp has changed are read.
fn has_new_content(files: &[WatchedFile], before: &Stamps, now: &Stamps) -> bool {
    files.iter().any(|file| before.get(&file.path) != now.get(&file.path) && file.now() != *file)
}

/// Waits until the files stay unchanged, and returns their stamps. Content alone
/// is not enough: two checks may both find a file that was just truncated.
async fn settle(files: &[WatchedFile]) -> Stamps {
    let check = || (stamps_of(files), files.iter().map(WatchedFile::now).collect::<Vec<_>>());
    let mut before = check();
    for _ in 0..MAX_SETTLE_CHECKS {
        tokio::time::sleep(SETTLE_TIME).await;
        let now = check();
        if now == before {
            break;
        }
        before = now;
    }
    before.0
}

fn stamps_of(files: &[WatchedFile]) -> Stamps {
    files.iter().map(|file| (file.path.clone(), Stamp::of(&file.path))).collect()
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Reads, tests and swaps the configuration. The error has the files that were
/// tried; `None` where there is nothing to read again.
async fn reload(config: &Config, shared: &Shared) -> Option<Result<Config, Vec<WatchedFile>>> {
    let Some(sources) = config.sources().cloned() else {
        tracing::warn!("the configuration was not read from files; there is nothing to reload");
        return None;
    };
    // a file may be a pipe or on an unreachable file system, which blocks the thread
    let loaded = actix_web::rt::task::spawn_blocking(move || Config::load(&sources)).await;
    let Ok(loaded) = loaded else {
        tracing::error!("reading the configuration panicked; the old one stays in use");
        return None;
    };
    let tested = match loaded {
        Ok(newer) => match self_test(&newer) {
            Ok(()) => Ok(newer),
            Err(error) => Err((error.to_string(), newer.files)),
        },
        Err(problems) => Err((problems.to_string(), problems.files)),
    };
    match tested {
        Ok(mut newer) => {
            let needs_restart = newer.server.needs_restart_after(&config.server)
                || newer.log != config.log
                || newer.store != config.store
                || newer.audit.needs_restart_after(&config.audit);
            if needs_restart {
                tracing::warn!(
                    "settings in [server], [store], [audit], log.format or log.level have changed; they apply after a restart"
                );
            }
            for warning in newer.warnings() {
                tracing::warn!("{warning}");
            }
            if newer.store != config.store || newer.audit.needs_restart_after(&config.audit) {
                tracing::warn!("settings in [store] or [audit] have changed; they apply after a restart");
            }
            let rotated = with_another_secret(&shared.snapshot(), &newer.entrances);
            shared.swap(served(&mut newer));
            shared.metrics.count_reload(Reload::Applied);
            tracing::info!("the new configuration is in use");
            record(shared, Operation::Reloaded, Value::Null).await;
            if !rotated.is_empty() {
                record(shared, Operation::KeyRotated, json!({"entrances": rotated})).await;
            }
            Some(Ok(newer))
        }
        Err((problems, files)) => {
            shared.metrics.count_reload(Reload::Refused);
            tracing::error!(%problems, "the new configuration is wrong; the old one stays in use");
            Some(Err(files))
        }
    }
}

/// The names of entrances whose tokens another secret signs from now on.
fn with_another_secret(before: &Snapshot, entrances: &[Entrance]) -> Vec<String> {
    let is_rotated = |entrance: &&Entrance| {
        before.entrances.iter().map(|runtime| &runtime.entrance).any(|earlier| {
            earlier.name == entrance.name && !earlier.marketplace.has_secret_of(&entrance.marketplace)
        })
    };
    entrances.iter().filter(is_rotated).map(|entrance| entrance.name.clone()).collect()
}

async fn record(shared: &Shared, operation: Operation, data: Value) {
    if shared.audit.record_operation(operation, data).await.is_err() {
        tracing::error!(operation = operation.code(), "the audit event of an operation cannot be stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_a_new_stamp_are_compared() {
        let folder = tempfile::TempDir::new().unwrap();
        let [path, other, link] = ["file", "other", "link"].map(|name| folder.path().join(name));
        std::fs::write(&path, "content").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let files = [WatchedFile::read(&link).0];
        let before = stamps_of(&files);
        assert!(!has_new_content(&files, &before, &stamps_of(&files)));

        std::fs::write(&path, "newer content").unwrap();
        assert!(has_new_content(&files, &before, &stamps_of(&files)));
        assert!(!has_new_content(&files, &before, &before), "the file was read without need");
        std::fs::write(&other, "content").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(before, stamps_of(&files));
        assert!(!has_new_content(&files, &before, &stamps_of(&files)), "the content is the same");
    }
}
