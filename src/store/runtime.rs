//! The store's threads. A connection to PostgreSQL, and a pool, belong to the Tokio runtime that created
//! them, and each worker of actix has its own runtime. So all connections are used on the runtime of
//! one thread, and callers on other runtimes send their work to it. With SQLite, a second thread
//! appends audit events, which blocks it.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::StoreError;

/// The runtime's handle. The thread ends when this is dropped.
pub(super) struct StoreRuntime {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl StoreRuntime {
    /// Starts a thread with this name.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            // an error: the sender was dropped
            let _: Result<(), _> = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Runs a future to its end, even if the caller stops waiting.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.handle.spawn(work).await {
            Ok(result) => result,
            // it panicked, or the runtime ended
            Err(_) => Err(StoreError::Stopped),
        }
    }

    /// Starts a task that runs until it ends, is aborted by the handle, or the store is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(task).abort_handle()
    }

    /// Runs a function in the runtime's context.
    pub fn enter<T>(&self, function: impl FnOnce() -> T) -> T {
        let _guard = self.handle.enter();
        function()
    }
}
