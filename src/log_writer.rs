//! Whole lines to one place, batched: a line costs a copy into memory, and one
//! thread writes what has gathered. Nothing here knows what a line says.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Takes lines. Clones write to the same place.
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
    gathered: Vec<u8>,
    is_writing: bool,
    dropped: u64,
}

/// How long a line may wait for company.
const BATCH_TIME: Duration = Duration::from_millis(20);

/// So many bytes are written without waiting longer.
const BATCH_BYTES: usize = 256 * 1024;

/// So much room is kept for the next batch, that it need not be had again.
const KEPT_BYTES: usize = 4 * BATCH_BYTES;

/// So many bytes are kept while the place does not take them; what comes then
/// is dropped and counted. Far above [`BATCH_BYTES`].
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How long [`LogWriter::flush`] waits at most.
const FLUSH_TIME: Duration = Duration::from_secs(2);

impl LogWriter {
    /// LogWriter to standard error.
    pub fn to_stderr() -> io::Result<Self> {
        Self::to(io::stderr())
    }

    /// LogWriter to anything that takes bytes.
    pub fn to(place: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            has_lines: Condvar::new(),
            is_full: Condvar::new(),
            is_written: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("lines".into()).spawn(move || writer.write_for_ever(place))?;
        Ok(Self { shared })
    }

    /// Adds a line, given with its line break.
    pub fn add(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.gathered.len() + line.len() > MOST_BYTES {
            state.dropped += 1;
            return;
        }
        let before = state.gathered.len();
        state.gathered.extend_from_slice(line);
        let after = state.gathered.len();
        drop(state);
        if before == 0 {
            self.shared.has_lines.notify_one();
        } else if before < BATCH_BYTES && after >= BATCH_BYTES {
            self.shared.is_full.notify_one();
        }
    }

    /// How many lines were dropped because the place took none.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits until everything is written, or for two seconds.
    pub fn flush(&self) {
        let state = self.shared.lock();
        self.shared.is_full.notify_one();
        let pending = |state: &mut State| !state.gathered.is_empty() || state.is_writing;
        drop(self.shared.is_written.wait_timeout_while(state, FLUSH_TIME, pending));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_ever(&self, mut place: impl Write) {
        let mut batch = Vec::new();
        loop {
            let state = self.has_lines.wait_while(self.lock(), |state| state.gathered.is_empty());
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let waited = self.is_full.wait_timeout(state, BATCH_TIME);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.gathered, &mut batch);
            state.is_writing = true;
            drop(state);

            let written = place.write_all(&batch).and_then(|()| place.flush());
            let dropped = if written.is_ok() { 0 } else { batch.split(|byte| *byte == b'\n').count() - 1 };
            batch.clear();
            batch.shrink_to(KEPT_BYTES);

            let mut state = self.lock();
            state.is_writing = false;
            // where the place is gone, the metric is what is left to tell it
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

/// A log event comes in one call, as a whole line.
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

    struct Place(mpsc::Sender<Vec<u8>>);

    impl Write for Place {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (sender, written) = mpsc::channel();
        let lines = LogWriter::to(Place(sender)).unwrap();
        for number in 0..1000 {
            lines.add(format!("line {number}\n").as_bytes());
        }
        lines.flush();
        let text = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
        assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")));
        assert_eq!(text.lines().count(), 1000);
        assert_eq!(lines.dropped(), 0);
    }
}
