//! Keeping up with the configuration: when one of its files changes, or at
//! SIGHUP, everything is read again and swapped at once. A bad new one is
//! reported, and the old one stays.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::web;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use super::{self_test, served};
use crate::config::{Config, WatchedFile};
use crate::http::Shared;
use crate::metrics::Reload;

/// Writers change a file in several steps: it is read again when it has stayed
/// the same for so long.
const SETTLING: Duration = Duration::from_millis(150);

/// So often it is looked whether anything has changed that no event told of.
const LOOKING: Duration = Duration::from_secs(30);

/// A file that never stays the same is read all the same after so many looks.
const MOST_LOOKS: usize = 40;

/// Watches and swaps for ever.
pub(super) async fn run(mut hang_up: Signal, mut config: Config, shared: web::Data<Shared>) {
    let (changed, mut changes) = mpsc::channel(1);
    // the files of the newest attempt, though the configuration in use be older
    let mut files = config.files.clone();
    let mut _watch = Watch::start(&files, &changed);
    // what changed before the watch began is told by no event
    let _ = changed.try_send(());
    loop {
        tokio::select! {
            _ = hang_up.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            // a folder that was exchanged as a whole, or a link on the way to it, is told by nobody
            _ = async { tokio::select! { _ = changes.recv() => {}, () = tokio::time::sleep(LOOKING) => {} } } => {
                if as_now(&files) == files {
                    continue;
                }
                settle(&files).await;
                while changes.try_recv().is_ok() {}
                if as_now(&files) == files {
                    continue;
                }
                tracing::info!("a file of the configuration has changed: reading it again");
            }
        }
        files = match read_again(&config, &shared).await {
            Some(Ok(newer)) => {
                config = newer;
                config.files.clone()
            }
            Some(Err(tried)) => tried,
            None => continue,
        };
        _watch = Watch::start(&files, &changed);
    }
}

/// Waits until nobody writes the files any more. Their times count beside what
/// they hold: two looks may both find a file just emptied.
async fn settle(files: &[WatchedFile]) {
    let look = || -> Vec<_> { files.iter().map(|file| (file.now(), file.modified())).collect() };
    let mut before = look();
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(SETTLING).await;
        let now = look();
        if now == before {
            return;
        }
        before = now;
    }
}

fn as_now(files: &[WatchedFile]) -> Vec<WatchedFile> {
    files.iter().map(WatchedFile::now).collect()
}

/// Reads, tests and swaps. Where the old configuration stays, the files that
/// were tried; nothing where there is none to read again.
async fn read_again(config: &Config, shared: &Shared) -> Option<Result<Config, Vec<WatchedFile>>> {
    let Some(sources) = config.sources().cloned() else {
        tracing::warn!("the configuration came from no file; there is nothing to read again");
        return None;
    };
    // a file may be a pipe, or on a disk that has gone: nobody else waits for it
    let read = actix_web::rt::task::spawn_blocking(move || Config::load(&sources)).await;
    let Ok(read) = read else {
        tracing::error!("reading the configuration panicked; the old one stays in use");
        return None;
    };
    let tested = match read {
        Ok(newer) => match self_test(&newer) {
            Ok(()) => Ok(newer),
            Err(error) => Err((error.to_string(), newer.files)),
        },
        Err(problems) => Err((problems.to_string(), problems.files)),
    };
    match tested {
        Ok(mut newer) => {
            if newer.server.needs_restart_after(&config.server) || newer.log != config.log {
                tracing::warn!(
                    "settings in [server], log.format or log.level have changed; they apply after a restart"
                );
            }
            for warning in newer.warnings() {
                tracing::warn!("{warning}");
            }
            shared.swap(served(&mut newer));
            shared.metrics.count_reload(Reload::Applied);
            tracing::info!("the new configuration is in use");
            Some(Ok(newer))
        }
        Err((problems, files)) => {
            shared.metrics.count_reload(Reload::Refused);
            tracing::error!(%problems, "the new configuration is wrong; the old one stays in use");
            Some(Err(files))
        }
    }
}

/// A watch over the folders of some files: a file may be replaced by another,
/// or by a link, as Kubernetes does.
struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn start(files: &[WatchedFile], changed: &mpsc::Sender<()>) -> Self {
        let changed = changed.clone();
        let tell = move |event: notify::Result<notify::Event>| {
            // where one change is already told, this one is told with it
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changed.try_send(());
            }
        };
        let watched = notify::recommended_watcher(tell).and_then(|mut watcher| {
            for folder in folders(files) {
                watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watched {
            Ok(watcher) => Self { _watcher: Some(watcher) },
            Err(error) => {
                tracing::warn!(%error, "files cannot be watched; send SIGHUP after a change");
                Self { _watcher: None }
            }
        }
    }
}

/// The folders in which a file may be replaced: its own, and that of the file
/// which it is a link to. What does not exist cannot be watched.
fn folders(files: &[WatchedFile]) -> BTreeSet<PathBuf> {
    let targets = files.iter().filter_map(|file| file.path.canonicalize().ok());
    let named = files.iter().map(|file| file.path.clone());
    let folder = |file: PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    named.chain(targets).map(folder).filter(|folder| folder.is_dir()).collect()
}
