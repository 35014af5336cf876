//! Writes events page by page, so that memory does not depend on their number.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use super::arguments::Format;
use crate::audit::{CSV_FIELDS, JsonEvent, timestamp};
use crate::cli::Failure;
use crate::store::Store;
use crate::store::events::{EventQuery, StoredEvent};

/// The number of events that are read with one query.
const PAGE: u64 = 1_000;

/// Shows the number of events on standard error, if that is a terminal.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// `is_alone`: nothing else is written to that terminal.
    pub fn new(is_alone: bool) -> Self {
        Self { is_shown: is_alone && io::stderr().is_terminal() }
    }

    pub fn show(&self, events: u64) {
        if self.is_shown {
            // a failed write concerns only the display
            let _ = write!(io::stderr(), "\r{events} events");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Writes the selected events, at most `limit`, and returns their number.
pub(super) async fn write_events(
    store: &Store,
    mut query: EventQuery,
    limit: Option<u64>,
    format: Format,
) -> Result<u64, Failure> {
    let progress = Progress::new(!io::stdout().is_terminal());
    let mut output = BufWriter::new(io::stdout().lock());
    let mut written = 0;
    let mut header = true;
    loop {
        let wanted = limit.map_or(PAGE, |limit| PAGE.min(limit - written));
        query.limit = i64::try_from(wanted)?;
        let events = store.events(query.clone()).await?;
        if let Err(error) = write_page(&mut output, &events, format, std::mem::take(&mut header)) {
            // the reader of the pipe, such as `head`, has ended
            let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
            return if is_closed { Ok(written) } else { Err(error.into()) };
        }
        let count = events.len() as u64;
        written += count;
        progress.show(written);
        query.after = events.last().map(StoredEvent::position);
        if count < PAGE || limit == Some(written) {
            return Ok(written);
        }
    }
}

fn write_page(
    output: &mut BufWriter<StdoutLock<'_>>,
    events: &[StoredEvent],
    format: Format,
    header: bool,
) -> io::Result<()> {
    match format {
        Format::Csv if header => writeln!(output, "{}", CSV_FIELDS.join(","))?,
        Format::Table if header && !events.is_empty() => {
            writeln!(
                output,
                "{}",
                row(["TIME", "OUTCOME", "REASON", "ENTRANCE", "SUBJECT", "PEER", "REQUEST"])
            )?;
        }
        Format::Csv | Format::Table | Format::Jsonl => {}
    }
    for stored in events {
        match format {
            Format::Jsonl => {
                serde_json::to_writer(&mut *output, &JsonEvent::of(stored))?;
                writeln!(output)?;
            }
            Format::Csv => writeln!(output, "{}", JsonEvent::of(stored).to_csv())?,
            Format::Table => writeln!(output, "{}", table_row(stored))?,
        }
    }
    output.flush()
}

fn table_row(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let subject = match &stored.erasure {
        Some(_) => "(erased)",
        None => event.personal.subject.as_deref().unwrap_or("-"),
    };
    // a subject may contain control characters, and this goes to a terminal
    let subject = subject.escape_debug().to_string();
    let request_id = event.request_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    row([
        &timestamp(event.at_us),
        &event.outcome.escape_debug().to_string(),
        &event.reason.as_deref().unwrap_or("-").escape_debug().to_string(),
        &event.entrance.as_deref().unwrap_or("-").escape_debug().to_string(),
        &subject,
        &event.personal.peer.as_deref().unwrap_or("-").escape_debug().to_string(),
        &request_id,
    ])
}

fn row([time, outcome, reason, entrance, subject, peer, request]: [&str; 7]) -> String {
    format!("{time:<27}  {outcome:<10}  {reason:<20}  {entrance:<12}  {subject:<32}  {peer:<15}  {request}")
}
