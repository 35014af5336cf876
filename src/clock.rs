//! The time, and its only reader. Everything that decides takes the time as an
//! argument; a clock that jumps changes what is decided and breaks nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A moment of the wall clock. Before 1970 there is nothing: a clock that says
/// so reads as 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    since_epoch: Duration,
}

/// Time that has passed, untouched by jumps of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Timestamp {
    /// Reads the clock.
    pub fn now() -> Self {
        Self { since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// The moment that many seconds after 1970 began.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self { since_epoch: Duration::from_secs(seconds) }
    }

    /// Whole seconds since 1970 began: a `NumericDate` (RFC 7519).
    pub const fn unix_seconds(self) -> u64 {
        self.since_epoch.as_secs()
    }

    /// So much later.
    #[must_use]
    pub const fn later_by(self, time: Duration) -> Self {
        Self { since_epoch: self.since_epoch.saturating_add(time) }
    }

    /// Whether this lies less than so many seconds before another moment; or
    /// after it, as others may have read the clock a little later. What lies
    /// further ahead was read before the clock went back, and tells nothing.
    pub const fn is_within(self, seconds: u64, now: Self) -> bool {
        // one of the two is 0
        now.seconds_since(self) + self.seconds_since(now) < seconds
    }

    /// Whole seconds since an earlier moment; 0 where that one is the later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.since_epoch.saturating_sub(earlier.since_epoch).as_secs()
    }

    /// The time since an earlier moment; none where that one is the later.
    pub const fn time_since(self, earlier: Self) -> Duration {
        self.since_epoch.saturating_sub(earlier.since_epoch)
    }

    /// The part of a second that [`Self::unix_seconds`] leaves out, in microseconds.
    pub const fn microseconds(self) -> u32 {
        self.since_epoch.subsec_micros()
    }

    /// The moment as a date in UTC; the last one there is, where the calendar ends.
    pub fn to_utc(self) -> OffsetDateTime {
        let nanoseconds = i128::try_from(self.since_epoch.as_nanos()).unwrap_or(i128::MAX);
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc())
    }
}

impl Stopwatch {
    /// Starts one.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// What has passed since.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // T31
    #[test]
    fn a_clock_far_in_the_future_has_a_date() {
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX).to_utc().year(), 9999);
    }
}
