//! A connection's stream, with limits that actix-http does not have.
//!
//! actix-http 3.20 reads and handles pipelined requests even while responses wait to be written, so
//! the write buffer grows without limit if a peer sends requests and never reads responses. This
//! stream returns no bytes while a write is pending. It also returns only a limited number of bytes
//! before it yields, so that the requests are handled and the responses written before more is
//! read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, OpenConnections};

/// The stream of one connection. The connection counts as open until this is dropped.
pub(in crate::server) struct LimitedStream<Io> {
    io: Io,
    connection: Arc<Connection>,
    connections: Arc<OpenConnections>,
    bytes_in_burst: usize,
    /// The task to wake when the pending write is done; `None` if no write is pending.
    pending_write: Option<Waker>,
}

/// Bytes that are read before the stream yields. This limits the number of requests in memory: the
/// shortest request has 18 bytes.
const READ_BURST_BYTES: usize = 16 * 1024;

/// End of file: ready, with no bytes read.
const END_OF_STREAM: Poll<io::Result<()>> = Poll::Ready(Ok(()));

impl<Io> LimitedStream<Io> {
    /// Counts a connection as open, which may close another one.
    pub fn new(io: Io, connections: Arc<OpenConnections>) -> Self {
        let connection = connections.add();
        Self { io, connection, connections, bytes_in_burst: 0, pending_write: None }
    }

    /// The state of the connection.
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Records the result of a write: nothing is read while one is pending.
    fn after_write<T>(&mut self, written: Poll<io::Result<T>>, context: &Context<'_>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => {
                self.pending_write = Some(context.waker().clone());
                // after the end of the input nothing is read any more, so only this waker wakes the
                // task
                self.connection.wake_when_closing(context.waker());
                self.check_open()?;
            }
            Poll::Ready(Ok(_)) => {
                self.connection.note_progress();
                if let Some(reader) = self.pending_write.take() {
                    reader.wake();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    /// Waits for bytes to read or for the connection to be closed.
    fn wait(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wake_when_closing(context.waker());
        // `close` may have run before the waker was stored
        if self.connection.is_closing() { END_OF_STREAM } else { Poll::Pending }
    }

    fn check_open(&self) -> io::Result<()> {
        if self.connection.is_closing() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for LimitedStream<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        if stream.connection.is_closing() {
            return END_OF_STREAM;
        }
        if stream.pending_write.is_some() {
            return stream.wait(context);
        }
        if stream.bytes_in_burst >= READ_BURST_BYTES {
            stream.bytes_in_burst = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut stream.io).poll_read(context, buffer) {
            Poll::Pending => {
                stream.bytes_in_burst = 0;
                stream.wait(context)
            }
            Poll::Ready(read) => {
                let bytes = buffer.filled().len().saturating_sub(before);
                stream.bytes_in_burst = stream.bytes_in_burst.saturating_add(bytes);
                Poll::Ready(read)
            }
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for LimitedStream<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.after_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.after_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl<Io: ActixStream> ActixStream for LimitedStream<Io> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_write_ready(context)
    }
}

impl<Io> Drop for LimitedStream<Io> {
    fn drop(&mut self) {
        self.connections.remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    /// A peer that has sent everything already and reads nothing.
    struct UnreadPeer;

    impl AsyncRead for UnreadPeer {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            END_OF_STREAM
        }
    }

    impl AsyncWrite for UnreadPeer {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_pending_write_is_woken_and_fails_when_closing() {
        let mut stream = LimitedStream::new(UnreadPeer, Arc::new(OpenConnections::new(1)));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut stream).poll_write(&mut context, b"x").is_pending());
        stream.connection.close();
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(matches!(Pin::new(&mut stream).poll_write(&mut context, b"x"), Poll::Ready(Err(_))));
    }

    #[test]
    fn nothing_is_read_while_a_write_is_pending() {
        let mut stream = LimitedStream::new(UnreadPeer, Arc::new(OpenConnections::new(1)));
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; 8];
        let mut buffer = ReadBuf::new(&mut bytes);
        assert!(Pin::new(&mut stream).poll_read(&mut context, &mut buffer).is_ready());
        assert!(Pin::new(&mut stream).poll_write(&mut context, b"x").is_pending());
        assert!(Pin::new(&mut stream).poll_read(&mut context, &mut buffer).is_pending());
    }
}
