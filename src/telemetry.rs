//! Log lines about the process: start, stop, configuration, errors. Hand-offs and
//! refusals are audit events (`audit`), written by the same [`LogWriter`].

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
    let layer = tracing_subscriber::fmt::layer().with_writer(log_writer.clone()).with_target(false);
    let layer = match settings.format {
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => layer.with_ansi(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(settings.level))).try_init()?;
    log_panics();
    Ok(())
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
