//! Keeping up with the configuration: when one of its files changes, or at
//! SIGHUP, everything is read again and swapped at once. A bad new one is
//! reported, and the old one stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::web;
use aws_lc_rs::digest;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::self_test;
use crate::config::Config;
use crate::http::Shared;
use crate::metrics::Reload;

/// Writers change a file in several steps; after the first it is waited so long.
const SETTLING: Duration = Duration::from_millis(100);

/// Watches and swaps for ever.
pub(super) async fn keep_up(mut config: Config, shared: web::Data<Shared>) {
    let Ok(mut hang_up) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be waited for; the configuration stays as it is");
        return;
    };
    let (changed, mut changes) = mpsc::channel(1);
    let mut _watch = Watch::start(&config.files, &changed);
    let mut contents = digest_of(&config.files);
    loop {
        tokio::select! {
            _ = hang_up.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            _ = changes.recv() => {
                tokio::time::sleep(SETTLING).await;
                while changes.try_recv().is_ok() {}
                let now = digest_of(&config.files);
                if now == contents {
                    continue;
                }
                tracing::info!("a file of the configuration has changed: reading it again");
            }
        }
        contents = digest_of(&config.files);
        if let Some(newer) = read_again(&config, &shared) {
            if newer.files != config.files {
                _watch = Watch::start(&newer.files, &changed);
                contents = digest_of(&newer.files);
            }
            config = newer;
        }
    }
}

/// Reads, tests and swaps; `None` where the old one stays.
fn read_again(config: &Config, shared: &Shared) -> Option<Config> {
    let read = match config.load_again() {
        None => {
            tracing::warn!("the configuration came from no file; there is nothing to read again");
            return None;
        }
        Some(Ok(newer)) => self_test(&newer).map(|()| newer).map_err(|error| error.to_string()),
        Some(Err(problems)) => Err(problems.to_string()),
    };
    match read {
        Ok(mut newer) => {
            if newer.server != config.server || newer.log != config.log {
                tracing::warn!("settings in [server] or [log] have changed; they apply after a restart");
            }
            shared.swap(std::mem::take(&mut newer.entrances));
            shared.metrics.count_reload(Reload::Applied);
            tracing::info!("the new configuration is in use");
            Some(newer)
        }
        Err(problems) => {
            shared.metrics.count_reload(Reload::Refused);
            tracing::error!(%problems, "the new configuration is wrong; the old one stays in use");
            None
        }
    }
}

/// A watch over the folders of some files: a file may be replaced by another,
/// or by a link, as Kubernetes does.
struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn start(files: &[PathBuf], changed: &mpsc::Sender<()>) -> Self {
        let changed = changed.clone();
        let tell = move |event: notify::Result<notify::Event>| {
            // where one change is already told, this one is told with it
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changed.try_send(());
            }
        };
        let watched = notify::recommended_watcher(tell).and_then(|mut watcher| {
            let folders: BTreeSet<&Path> = files.iter().map(|file| folder(file)).collect();
            for folder in folders {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
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

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// What the files hold, in short.
fn digest_of(files: &[PathBuf]) -> Vec<u8> {
    let mut all = digest::Context::new(&digest::SHA256);
    for file in files {
        let contents = std::fs::read(file).unwrap_or_default();
        all.update(&u64::try_from(contents.len()).unwrap_or(u64::MAX).to_be_bytes());
        all.update(&contents);
    }
    all.finish().as_ref().to_vec()
}
