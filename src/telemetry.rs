//! Log lines for events: starting, stopping, configuration, faults. Hand-offs
//! and refusals are the record's, which shares the place they are written to.

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
pub fn start(settings: LogSettings, lines: &LogWriter) -> Result<(), TryInitError> {
    let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_target(false);
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

/// Our own events at the level asked for; those of libraries from warnings on;
/// root spans only where somebody debugs, since the record says the same.
fn filter(level: LevelFilter) -> Targets {
    let spans = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("marketplace_sso", level)
        // it calls every malformed request an error; anybody could fill the log
        .with_target("actix_http", LevelFilter::OFF)
        .with_target(SPAN_TARGET, spans)
}

/// A panic is logged by its place alone: its message may quote anything.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic was caught; this is a fault of the program");
    }));
}
