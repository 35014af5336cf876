//! The store's thread. A database connection belongs to the Tokio runtime that made it,
//! and each worker of actix has its own; so all connections live on one runtime here, and
//! callers of any runtime send their work to it.

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
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            // an error: the sender was dropped
            let _: Result<(), _> = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Runs work to its end, also if the caller stops waiting.
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

    /// Starts a task that ends by itself, by the handle, or with the store.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(task).abort_handle()
    }

    /// Runs a function in the runtime's context.
    pub fn enter<T>(&self, function: impl FnOnce() -> T) -> T {
        let _guard = self.handle.enter();
        function()
    }
}
