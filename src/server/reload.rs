//! Reloads the configuration when one of its files changes, and at SIGHUP. The whole configuration
//! is read again and replaced atomically. If the new one has problems, they are logged, and the
//! previous one stays in use.
//!
//! Files are polled. Unlike notifications of the file system, polling also works for network file
//! systems, and for symbolic links whose target is replaced, as Kubernetes does for ConfigMaps and
//! Secrets.

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

/// Distinguishes versions of a file without reading it. Links are followed, so a link to another
/// file is another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// When the content or the inode changed; unlike `modified`, a program cannot set it.
    changed: (i64, i64),
}

/// The stamps of files by path; `None` for a file that cannot be read.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// A configuration that was read and tested; or what is wrong, with the files that were read.
type Loaded = Result<Config, (String, Vec<WatchedFile>)>;

/// The result of waiting until files stop changing.
#[derive(Debug)]
struct Settled<T> {
    state: T,
    /// Whether they stayed unchanged for [`SETTLE_TIME`].
    is_stable: bool,
}

/// The time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long a file must stay unchanged before it is read: some programs write a file in several
/// steps.
const SETTLE_TIME: Duration = Duration::from_millis(150);

/// A file that keeps changing is read anyway after this many settle times.
const MAX_SETTLE_CHECKS: usize = 40;

/// Polls and reloads until aborted.
pub(super) async fn run(mut sighup: Signal, mut config: Config, shared: web::Data<Shared>) {
    // the files of the latest attempt, even if it failed and an older configuration is in use
    let mut files = config.files.clone();
    // empty, so that the first poll compares the content of all files: one may have changed since
    // the configuration was read
    let mut stamps = Stamps::new();
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let loaded = tokio::select! {
            _ = sighup.recv() => {
                tracing::info!("SIGHUP: reading the configuration again");
                // the stamps belong to the earlier content
                stamps.clear();
                load(&config).await
            }
            _ = poll.tick() => {
                let current = stamps_of(&files);
                if !has_new_content(&files, &stamps, &current) {
                    stamps = current;
                    continue;
                }
                let check = || (stamps_of(&files), files.iter().map(WatchedFile::now).collect::<Vec<_>>());
                let settled = settle(check, async || tokio::time::sleep(SETTLE_TIME).await).await;
                let (settled_stamps, contents) = settled.state;
                let has_new_content = has_new_content(&files, &stamps, &settled_stamps);
                stamps = settled_stamps;
                if !has_new_content {
                    continue;
                }
                tracing::info!("a file of the configuration has changed: reading it again");
                let loaded = load(&config).await;
                if settled.is_stable && loaded.as_ref().is_some_and(|loaded| has_other_content(loaded, &contents)) {
                    tracing::info!("a file changed while it was read: it is read again with the next poll");
                    stamps.clear();
                    continue;
                }
                loaded
            }
        };
        let Some(loaded) = loaded else { continue };
        files = match apply(loaded, &config, &shared).await {
            Ok(newer) => {
                config = newer;
                config.files.clone()
            }
            Err(tried) => tried,
        };
    }
}

/// Whether the content of a file differs from when it was read. Only files
/// whose stamp has changed are read.
fn has_new_content(files: &[WatchedFile], before: &Stamps, now: &Stamps) -> bool {
    files.iter().any(|file| before.get(&file.path) != now.get(&file.path) && file.now() != *file)
}

/// Whether the content that was read from a file differs from the content that it had when it had
/// stopped changing. Pipes are not compared: they can be read only once.
fn has_other_content(loaded: &Loaded, settled: &[WatchedFile]) -> bool {
    let read = match loaded {
        Ok(newer) => &newer.files,
        Err((_, files)) => files,
    };
    let has_changed = |file: &WatchedFile| {
        settled.iter().any(|before| before.path == file.path && before != file) && !file.is_pipe()
    };
    read.iter().any(has_changed)
}

/// Waits until two checks, with a pause between them, have the same result. A result has stamps and
/// contents: contents alone may be equal because the file was empty at both checks.
async fn settle<T: PartialEq>(mut check: impl FnMut() -> T, pause: impl AsyncFn()) -> Settled<T> {
    let mut state = check();
    for _ in 0..MAX_SETTLE_CHECKS {
        pause().await;
        let now = check();
        if now == state {
            return Settled { state, is_stable: true };
        }
        state = now;
    }
    Settled { state, is_stable: false }
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

/// Reads and tests the configuration. `None` if it was not read from files.
async fn load(config: &Config) -> Option<Loaded> {
    let Some(sources) = config.sources().cloned() else {
        tracing::warn!("the configuration was not read from files; there is nothing to reload");
        return None;
    };
    // on another thread: reading a pipe or an unreachable file system may block
    let loaded = actix_web::rt::task::spawn_blocking(move || Config::load(&sources)).await;
    let Ok(loaded) = loaded else {
        tracing::error!("reading the configuration panicked; the old one stays in use");
        return None;
    };
    Some(match loaded {
        Ok(newer) => match self_test(&newer) {
            Ok(()) => Ok(newer),
            Err(error) => Err((error.to_string(), newer.files)),
        },
        Err(problems) => Err((problems.to_string(), problems.files)),
    })
}

/// Replaces the configuration. The error has the files of this attempt.
async fn apply(loaded: Loaded, config: &Config, shared: &Shared) -> Result<Config, Vec<WatchedFile>> {
    match loaded {
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
                tracing::warn!("{}", warning.one_line());
            }
            let rotated = with_another_secret(&shared.snapshot(), &newer.entrances);
            shared.swap(served(&mut newer));
            shared.metrics.count_reload(Reload::Applied);
            tracing::info!("the new configuration is in use");
            record(shared, Operation::Reloaded, Value::Null).await;
            if !rotated.is_empty() {
                record(shared, Operation::KeyRotated, json!({"entrances": rotated})).await;
            }
            Ok(newer)
        }
        Err((problems, files)) => {
            shared.metrics.count_reload(Reload::Refused);
            tracing::error!(%problems, "the new configuration is wrong; the old one stays in use");
            Err(files)
        }
    }
}

/// The names of the entrances whose secret has changed.
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

    /// Runs [`settle`] with checks that find these values in turn; the last value is repeated.
    async fn settled(found: &[u8]) -> (Settled<u8>, usize) {
        let pauses = std::cell::Cell::new(0);
        let mut left = found.iter();
        let mut latest = 0;
        let check = || {
            latest = left.next().copied().unwrap_or(latest);
            latest
        };
        let settled = settle(check, async || pauses.set(pauses.get() + 1)).await;
        (settled, pauses.get())
    }

    #[tokio::test]
    async fn a_file_settles_when_two_checks_find_the_same() {
        for (found, state, pauses) in [(&[1][..], 1, 1), (&[1, 2, 3], 3, 3), (&[1, 2, 1, 2, 2, 5], 2, 4)] {
            let (settled, paused) = settled(found).await;
            assert_eq!((settled.state, settled.is_stable, paused), (state, true, pauses));
        }
    }

    #[tokio::test]
    async fn a_file_that_keeps_changing_is_read_eventually() {
        let (settled, pauses) = settled(&std::array::from_fn::<u8, 100, _>(|n| n as u8)).await;
        assert_eq!((settled.is_stable, pauses), (false, MAX_SETTLE_CHECKS));
    }

    #[test]
    fn a_change_between_settling_and_reading_is_found() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("sso.toml");
        std::fs::write(&path, "settled").unwrap();
        let settled = [WatchedFile::read(&path).0];
        let read = |file: WatchedFile| Err((String::new(), vec![file]));
        assert!(!has_other_content(&read(WatchedFile::read(&path).0), &settled));
        std::fs::write(&path, "newer").unwrap();
        assert!(has_other_content(&read(WatchedFile::read(&path).0), &settled));
        // a file that the earlier configuration did not name
        let (other, _) = WatchedFile::read(&folder.path().join("other"));
        assert!(!has_other_content(&read(other), &settled));
    }

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
