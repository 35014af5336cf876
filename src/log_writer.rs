//! Whole log lines to standard error. A thread of `tracing-appender` writes them, so
//! that a slow or blocked reader never delays a request; lines that cannot be written
//! are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Accepts lines. Clones share one queue and output.
#[derive(Clone)]
pub struct LogWriter {
    queue: NonBlocking,
    failed: Arc<AtomicU64>,
    /// `None` once closed.
    guard: Arc<Mutex<Option<WorkerGuard>>>,
}

/// The output of the writing thread: lines that queued up meanwhile become one `write`.
struct Batches<W> {
    output: W,
    batch: Vec<u8>,
    /// The number of lines in `batch`.
    lines: u64,
    failed: Arc<AtomicU64>,
}

/// The maximum number of lines that wait for the output: some 16 MB of audit lines.
const MAX_QUEUED_LINES: usize = 32 * 1024;

/// A batch of this size is written though more lines are queued.
const BATCH_BYTES: usize = 64 * 1024;

impl LogWriter {
    /// Writes to standard error.
    pub fn to_stderr() -> Self {
        Self::to(io::stderr())
    }

    /// Writes to any output.
    pub fn to(output: impl Write + Send + 'static) -> Self {
        let failed = Arc::new(AtomicU64::new(0));
        let output = Batches { output, batch: Vec::new(), lines: 0, failed: Arc::clone(&failed) };
        let (queue, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_QUEUED_LINES)
            .thread_name("log-writer")
            .finish(output);
        Self { queue, failed, guard: Arc::new(Mutex::new(Some(guard))) }
    }

    /// Adds a line, including its line break. Never blocks.
    pub fn add(&self, line: &[u8]) {
        // a lossy queue counts what it drops, and returns no error
        let _ = self.queue.clone().write_all(line);
    }

    /// The number of lines dropped because the output was blocked or failed.
    pub fn dropped(&self) -> u64 {
        let overflowed = u64::try_from(self.queue.error_counter().dropped_lines()).unwrap_or(u64::MAX);
        overflowed.saturating_add(self.failed.load(Ordering::Relaxed))
    }

    /// Waits until the added lines are written, for about a second if the output is
    /// blocked. Later lines are dropped.
    pub fn close(&self) {
        drop(self.guard.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// `tracing_subscriber` writes each event as one whole line.
impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        self.queue.clone()
    }
}

impl<W: Write> Batches<W> {
    fn write_batch(&mut self) {
        if self.output.write_all(&self.batch).and_then(|()| self.output.flush()).is_err() {
            self.failed.fetch_add(self.lines, Ordering::Relaxed);
        }
        self.batch.clear();
        self.lines = 0;
    }
}

/// Never fails: the thread of `tracing-appender` ignores errors, so they are counted here.
impl<W: Write> Write for Batches<W> {
    /// The thread calls this once for each line, and `flush` when the queue is empty.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.batch.extend_from_slice(line);
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES {
            self.write_batch();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_batch();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Output(mpsc::SyncSender<Vec<u8>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn add_lines(lines: &LogWriter, count: usize) {
        (0..count).for_each(|number| lines.add(format!("line {number}\n").as_bytes()));
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let (sender, written) = mpsc::sync_channel(1000);
        let lines = LogWriter::to(Output(sender));
        add_lines(&lines, 1000);
        lines.close();
        let text = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
        assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")));
        assert_eq!((text.lines().count(), lines.dropped()), (1000, 0));
    }

    #[test]
    fn a_blocked_output_blocks_no_caller_and_drops_are_counted() {
        let (sender, written) = mpsc::sync_channel(0);
        let lines = LogWriter::to(Output(sender));
        let added = 2 * MAX_QUEUED_LINES;
        add_lines(&lines, added);
        let dropped = usize::try_from(lines.dropped()).unwrap();
        assert!(dropped > 0);
        let reader =
            std::thread::spawn(move || written.iter().flatten().filter(|byte| *byte == b'\n').count());
        lines.close();
        drop(lines);
        assert_eq!(reader.join().unwrap() + dropped, added);
    }

    #[test]
    fn lines_that_the_output_refuses_are_counted() {
        let (sender, written) = mpsc::sync_channel(0);
        drop(written);
        let lines = LogWriter::to(Output(sender));
        add_lines(&lines, 10);
        lines.close();
        assert_eq!(lines.dropped(), 10);
    }
}
