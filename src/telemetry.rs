//! Log lines about the process: start, stop, configuration, errors. Hand-offs and
//! refusals are audit events (`audit`), written by the same [`LogWriter`].

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::audit::LogFormat;
use crate::config::LogSettings;
use crate::http::SPAN_TARGET;
use crate::log_writer::LogWriter;

/// Starts logging events for this process.
pub fn start(settings: LogSettings, log_writer: &LogWriter) -> Result<(), TryInitError> {
    subscriber(settings, log_writer).try_init()?;
    log_panics();
    Ok(())
}

/// The filter is that of all layers: one of a single layer (`with_filter`) loses events whose
/// callsite it has accepted for good, whenever the same thread has asked it about another callsite
/// before (tokio-rs/tracing#2519).
fn subscriber(settings: LogSettings, log_writer: &LogWriter) -> impl Subscriber + Send + Sync + 'static {
    let layer = tracing_subscriber::fmt::layer().with_writer(log_writer.clone()).with_target(false);
    let layer = match settings.format {
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => layer.with_ansi(false).boxed(),
    };
    tracing_subscriber::registry().with(filter(settings.level)).with(layer)
}

/// The filter: the service's own events at the configured level, those of libraries at WARN and
/// above, and root spans only at DEBUG, because audit events have the same fields.
fn filter(level: LevelFilter) -> Targets {
    let spans = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("marketplace_sso", level)
        // actix-http logs every malformed request as an error, so any client could fill the log
        .with_target("actix_http", LevelFilter::OFF)
        .with_target(SPAN_TARGET, spans)
}

/// Logs only the source location of a panic: its message may contain secrets.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(location, "a panic was caught; this is a bug");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex, OnceLock};

    use tracing::subscriber::with_default;
    use tracing::{Event, Metadata, dispatcher};
    use tracing_subscriber::layer::Context;

    use super::*;

    /// The metadata of the first event.
    #[derive(Clone, Default)]
    struct Seen(Arc<OnceLock<&'static Metadata<'static>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let _ = self.0.set(event.metadata());
        }
    }

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn event_of_a_library() {
        tracing::error!(target: "actix_http", "not logged");
    }

    #[test]
    fn no_event_is_lost_after_a_disabled_one() {
        let seen = Seen::default();
        with_default(tracing_subscriber::registry().with(seen.clone()), event_of_a_library);
        let disabled = seen.0.get().unwrap();

        let output = Output::default();
        let log_writer = LogWriter::to(output.clone()).unwrap();
        let settings = LogSettings { format: LogFormat::Text, level: LevelFilter::INFO };
        with_default(subscriber(settings, &log_writer), || {
            for number in 0..3 {
                // as for two threads that register a callsite at the same time
                assert!(!dispatcher::get_default(|current| current.enabled(disabled)));
                tracing::warn!(target: "marketplace_sso", number);
                event_of_a_library();
            }
        });
        log_writer.flush();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let numbers: Vec<_> = text.lines().map(|line| line.rsplit_once("number=").unwrap().1).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{text}");
    }
}
