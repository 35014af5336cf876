//! The arguments that select events, and the form in which they are written.

use std::time::Duration;

use clap::{Args, ValueEnum};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::audit::AuditSettings;
use crate::clock::Timestamp;
use crate::store::events::EventFilter;

/// Selects events.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// From this time on: 2026-10-01, 2026-10-01T12:00:00Z, or 90m, 24h, 7d ago
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    until: Option<Timestamp>,
    /// The token's sub, also where it is stored as a hash
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

fn read_time(text: &str) -> Result<Timestamp, &'static str> {
    const WRONG: &str = "write 2026-10-01, 2026-10-01T12:00:00Z, or how long ago: 90m, 24h, 7d";
    let date = format_description!("[year]-[month]-[day]");
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, date).map(|date| date.midnight().assume_utc()));
    match at {
        Ok(at) => {
            let microseconds = i64::try_from(at.unix_timestamp_nanos() / 1_000).map_err(|_| WRONG)?;
            Ok(Timestamp::from_unix_microseconds(microseconds))
        }
        Err(_) => Ok(Timestamp::now().earlier_by(read_duration(text).ok_or(WRONG)?)),
    }
}

fn read_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-10-01", 1_790_812_800)]
    #[case("2026-10-01T12:00:00Z", 1_790_856_000)]
    #[case("2026-10-01T14:00:00+02:00", 1_790_856_000)]
    fn a_time_is_a_date_or_rfc_3339(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(read_time(text).unwrap(), Timestamp::from_unix_seconds(seconds));
    }

    #[test]
    fn a_time_may_be_relative() {
        let ago = Timestamp::now().seconds_since(read_time("7d").unwrap());
        assert!((604_799..604_810).contains(&ago), "{ago}");
    }

    #[rstest]
    #[case("")]
    #[case("d")]
    #[case("yesterday")]
    #[case("-1d")]
    #[case("99999999999999999999d")]
    #[case("9ä")]
    fn anything_else_is_no_time(#[case] text: &str) {
        assert!(read_time(text).is_err());
    }
}
