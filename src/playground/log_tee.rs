//! Writes the service's log in the playground to standard error and to the trace.

use std::io::{self, Write};
use std::sync::Arc;

use super::trace::Trace;

/// Writes lines to standard error and adds each to a trace.
pub struct LogTee(pub Arc<Trace>);

impl Write for LogTee {
    /// The log writer passes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(lines).lines() {
            self.0.add_log_line(line);
        }
        // a closed standard error does not end the trace
        let _ = io::stderr().write_all(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
