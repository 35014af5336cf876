//! The arguments that select events, and the form in which they are written.

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::audit::AuditSettings;
use crate::clock::Timestamp;
use crate::store::events::EventFilter;

/// Selects events.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// From this time on: 2026-10-01, 2026-10-01T12:00:00Z, or 90m, 24h, 7d ago
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// The token's sub, even if it is stored as a hash
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// The name of the entrance
    #[arg(long, value_name = "NAME")]
    entrance: Option<String>,
    /// What happened: handed_off, verified, refused, started, stopped, …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// The reason of a refusal, such as not_allowed
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// The token's jti
    #[arg(long, value_name = "ID")]
    jti: Option<Uuid>,
    /// The id of the request, as in X-Request-Id
    #[arg(long, value_name = "ID")]
    request_id: Option<Uuid>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns, for people
    Table,
    /// A JSON object on each line
    Jsonl,
    /// Comma-separated values with a header; what a spreadsheet would evaluate is quoted
    Csv,
}

impl FilterArguments {
    pub fn filter(&self, settings: &AuditSettings) -> EventFilter {
        EventFilter {
            since_us: self.since.map(Timestamp::unix_microseconds),
            until_us: self.until.map(Timestamp::unix_microseconds),
            subjects: self.subject.as_deref().map(|subject| settings.subject_forms(subject)),
            entrance: self.entrance.clone(),
            outcome: self.outcome.clone(),
            reason: self.reason.clone(),
            jti: self.jti,
            request_id: self.request_id,
        }
    }
}
