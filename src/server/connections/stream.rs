//! A connection's stream, with the bounds that actix-http does not set.
//!
//! actix-http 3.20 reads and handles pipelined requests also while responses
//! wait to be written, so that a peer which sends requests and never reads
//! responses makes its write buffer grow without bound. This stream has
//! nothing to read while a write waits, and hands over a limited number of
//! bytes before requests are handled and responses written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, Connections};

/// A stream of one connection. The connection counts as open until it is dropped.
pub(in crate::server) struct LimitedStream<Io> {
    io: Io,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    bytes_in_burst: usize,
    /// Whoever waits to read while a write waits. `None`: no write waits.
    write_waits: Option<Waker>,
}

/// Bytes that are read before requests are handled. Bounds the number of
/// requests in memory: the shortest has 18 bytes.
const READ_BURST_BYTES: usize = 16 * 1024;

/// No bytes were read.
const END_OF_STREAM: Poll<io::Result<()>> = Poll::Ready(Ok(()));

impl<Io> LimitedStream<Io> {
    /// Counts a connection as open, which may close another one.
    pub fn new(io: Io, connections: Arc<Connections>) -> Self {
        let connection = connections.add();
        Self { io, connection, connections, bytes_in_burst: 0, write_waits: None }
    }

    /// What is known of the connection.
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Follows the outcome of a write: reading stops while one waits.
    fn after_write<T>(&mut self, written: Poll<io::Result<T>>, context: &Context<'_>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => self.write_waits = Some(context.waker().clone()),
            Poll::Ready(Ok(_)) => {
                self.connection.note_progress();
                if let Some(reader) = self.write_waits.take() {
                    reader.wake();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    /// Waits for something to read, or for being closed.
    fn wait(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wake_when_closing(context.waker());
        // it may have been closed just before
        if self.connection.is_closing() { END_OF_STREAM } else { Poll::Pending }
    }

    fn refuse_if_closing(&self) -> io::Result<()> {
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
        if stream.write_waits.is_some() {
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
        self.refuse_if_closing()?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.after_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_closing()?;
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
