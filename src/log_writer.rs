//! A buffered writer of whole log lines: adding a line is a copy into memory, and one
//! thread writes the buffer in batches. The writer of `tracing-appender` would need an adapter that
//! joins queued lines and counts dropped ones, bounds memory in lines and not in bytes, and takes
//! longer for each line.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Accepts lines. Clones share one buffer and output.
#[derive(Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    has_lines: Condvar,
    is_full: Condvar,
    is_written: Condvar,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    is_writing: bool,
    dropped: u64,
}

/// Maximum batching delay.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// A buffer of this size is written without further delay.
const BATCH_BYTES: usize = 256 * 1024;

/// The capacity that a buffer keeps after a batch, to avoid reallocations.
const RETAINED_BYTES: usize = 4 * BATCH_BYTES;

/// The maximum size of the buffer while the output is blocked; further lines are
/// dropped and counted. Far above [`BATCH_BYTES`].
const MAX_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// The timeout of [`LogWriter::flush`].
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

impl LogWriter {
    /// Writes to standard error.
    pub fn to_stderr() -> io::Result<Self> {
        Self::to(io::stderr())
    }

    /// Writes to any output.
    pub fn to(output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            has_lines: Condvar::new(),
            is_full: Condvar::new(),
            is_written: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.write_batches(output))?;
        Ok(Self { shared })
    }

    /// Adds a line, including its line break.
    pub fn add(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.buffer.len() + line.len() > MAX_BUFFER_BYTES {
            state.dropped += 1;
            return;
        }
        let before = state.buffer.len();
        state.buffer.extend_from_slice(line);
        let after = state.buffer.len();
        drop(state);
        if before == 0 {
            self.shared.has_lines.notify_one();
        } else if before < BATCH_BYTES && after >= BATCH_BYTES {
            self.shared.is_full.notify_one();
        }
    }

    /// The number of lines dropped because the output was blocked or failed.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits until all lines are written, for at most two seconds.
    pub fn flush(&self) {
        let state = self.shared.lock();
        self.shared.is_full.notify_one();
        let pending = |state: &mut State| !state.buffer.is_empty() || state.is_writing;
        drop(self.shared.is_written.wait_timeout_while(state, FLUSH_TIMEOUT, pending));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until the process ends.
    fn write_batches(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let state = self.has_lines.wait_while(self.lock(), |state| state.buffer.is_empty());
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let waited = self.is_full.wait_timeout(state, BATCH_DELAY);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.buffer, &mut batch);
            state.is_writing = true;
            drop(state);

            let written = output.write_all(&batch).and_then(|()| output.flush());
            let dropped = if written.is_ok() { 0 } else { batch.split(|byte| *byte == b'\n').count() - 1 };
            batch.clear();
            batch.shrink_to(RETAINED_BYTES);

            let mut state = self.lock();
            state.is_writing = false;
            // a failed output cannot be logged, but the metric shows it
            state.dropped += u64::try_from(dropped).unwrap_or(u64::MAX);
            drop(state);
            self.is_written.notify_all();
        }
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// `tracing_subscriber` writes each event as one whole line.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Output(mpsc::Sender<Vec<u8>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let (sender, written) = mpsc::channel();
        let lines = LogWriter::to(Output(sender)).unwrap();
        for number in 0..1000 {
            lines.add(format!("line {number}\n").as_bytes());
        }
        let mut text = String::new();
        while text.lines().count() < 1000 {
            let bytes = written.recv_timeout(Duration::from_secs(20)).unwrap();
            text += std::str::from_utf8(&bytes).unwrap();
        }
        assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")));
        assert_eq!(lines.dropped(), 0);
    }
}
