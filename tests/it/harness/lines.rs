//! The lines that a process writes, and waiting for one without polling.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

#[derive(Default)]
struct State {
    written: Vec<String>,
    open_pipes: usize,
}

/// The output of one process.
#[derive(Default)]
pub struct OutputLines {
    state: Mutex<State>,
    more: Condvar,
}

impl OutputLines {
    /// Starts a program without input, and reads what it writes.
    pub fn spawn(program: &mut Command) -> (Child, Arc<Self>) {
        let program = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            program.spawn().unwrap_or_else(|error| panic!("{error}; see make tools: {program:?}"));
        let lines = Arc::new(Self::default());
        lines.read_pipe(child.stderr.take().unwrap());
        lines.read_pipe(child.stdout.take().unwrap());
        (child, lines)
    }

    /// Reads a pipe to its end in a new thread.
    fn read_pipe(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        let lines = Arc::clone(self);
        lines.state.lock().unwrap().open_pipes += 1;
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lines.state.lock().unwrap().written.push(text);
                lines.more.notify_all();
                line.clear();
            }
            lines.state.lock().unwrap().open_pipes -= 1;
            lines.more.notify_all();
        });
    }

    /// Waits for a line that matches.
    pub fn wait_for_text(&self, timeout: Duration, mut matches: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap();
        let mut read = 0;
        loop {
            if let Some(found) = state.written[read..].iter().find(|line| matches(line)) {
                return found.clone();
            }
            read = state.written.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let can_arrive = !left.is_zero() && state.open_pipes > 0;
            assert!(can_arrive, "no line matches:\n{}", state.written.join("\n"));
            state = self.more.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for a JSON line that matches.
    pub fn wait_for(&self, timeout: Duration, mut matches: impl FnMut(&Value) -> bool) -> Value {
        let found =
            self.wait_for_text(timeout, |line| serde_json::from_str(line).is_ok_and(|json| matches(&json)));
        serde_json::from_str(&found).unwrap()
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.state.lock().unwrap().written.clone()
    }

    /// All lines so far that are JSON.
    pub fn json(&self) -> Vec<Value> {
        self.all().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
