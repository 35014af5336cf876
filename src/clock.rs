//! The only reader of the system clock. Decisions take the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use uuid::{NoContext, Uuid};

/// A wall-clock time. Times before the Unix epoch are clamped to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    since_epoch: Duration,
}

/// A text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write 2026-10-01, 2026-10-01T12:00:00Z, or how long ago: 90m, 24h, 7d")]
pub struct NotATime;

/// Measures elapsed time, unaffected by changes of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Timestamp {
    /// The current time.
    pub fn now() -> Self {
        Self { since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// The time of a file.
    pub fn from_system_time(time: SystemTime) -> Self {
        Self { since_epoch: time.duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Parses a date, a time in the format of RFC 3339, or how long ago it was: `90m`, `24h`, `7d`.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let date = format_description!("[year]-[month]-[day]");
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| Date::parse(text, date).map(|date| date.midnight().assume_utc()));
        match at {
            Ok(at) => {
                let microseconds = i64::try_from(at.unix_timestamp_nanos() / 1_000);
                microseconds.map(Self::from_unix_microseconds).map_err(|_| NotATime)
            }
            Err(_) => Ok(Self::now().earlier_by(parse_duration(text).ok_or(NotATime)?)),
        }
    }

    /// The time that is this many seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self { since_epoch: Duration::from_secs(seconds) }
    }

    /// Whole seconds since the Unix epoch: a `NumericDate` (RFC 7519).
    pub const fn unix_seconds(self) -> u64 {
        self.since_epoch.as_secs()
    }

    /// The time plus a duration, saturating.
    #[must_use]
    pub const fn later_by(self, time: Duration) -> Self {
        Self { since_epoch: self.since_epoch.saturating_add(time) }
    }

    /// Whether this differs from `now` by less than `seconds`. A time slightly after `now` counts,
    /// since another thread may have read the clock later. A time further in the future does not:
    /// the clock was set back.
    pub const fn is_within(self, seconds: u64, now: Self) -> bool {
        // one of the two terms is 0
        now.seconds_since(self) + self.seconds_since(now) < seconds
    }

    /// Whole seconds since an earlier time; 0 if it is later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.since_epoch.saturating_sub(earlier.since_epoch).as_secs()
    }

    /// The duration since an earlier time; zero if it is later.
    pub const fn time_since(self, earlier: Self) -> Duration {
        self.since_epoch.saturating_sub(earlier.since_epoch)
    }

    /// The time that is this many microseconds after the Unix epoch; the epoch itself for a
    /// negative number.
    pub fn from_unix_microseconds(microseconds: i64) -> Self {
        Self { since_epoch: Duration::from_micros(u64::try_from(microseconds).unwrap_or_default()) }
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_microseconds(self) -> i64 {
        i64::try_from(self.since_epoch.as_micros()).unwrap_or(i64::MAX)
    }

    /// The time minus a duration, not before the Unix epoch.
    #[must_use]
    pub const fn earlier_by(self, time: Duration) -> Self {
        Self { since_epoch: self.since_epoch.saturating_sub(time) }
    }

    /// A new UUID of version 7 (RFC 9562) for this time.
    pub fn new_uuid(self) -> Uuid {
        let (seconds, nanoseconds) = (self.since_epoch.as_secs(), self.since_epoch.subsec_nanos());
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
    }

    /// The time as a date in UTC, clamped to the year 9999.
    pub fn to_utc(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.since_epoch.as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds)
            .and_then(|time| time.replace_nanosecond(self.since_epoch.subsec_nanos()))
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc())
    }
}

/// Parses a number with its unit: `45s`, `90m`, `24h`, `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(seconds).map(Duration::from_secs)
}

impl Stopwatch {
    /// Starts a stopwatch.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
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
        assert_eq!(Timestamp::parse(text), Ok(Timestamp::from_unix_seconds(seconds)));
    }

    #[test]
    fn a_time_may_be_relative() {
        let ago = Timestamp::now().seconds_since(Timestamp::parse("7d").unwrap());
        assert!((604_799..604_810).contains(&ago), "{ago}");
    }

    #[rstest]
    #[case("")]
    #[case("d")]
    #[case("yesterday")]
    #[case("-1d")]
    #[case("+1d")]
    #[case("99999999999999999999d")]
    #[case("9ä")]
    fn anything_else_is_no_time(#[case] text: &str) {
        assert!(Timestamp::parse(text).is_err());
    }

    // T31
    #[test]
    fn a_clock_far_in_the_future_has_a_date() {
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX).to_utc().year(), 9999);
    }
}
