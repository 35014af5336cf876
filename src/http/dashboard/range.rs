//! The time ranges that the overview can show, and the intervals into which they are divided.

use std::time::Duration;

use serde::Serialize;
use time::macros::format_description;
use url::form_urlencoded;

use crate::clock::Timestamp;
use crate::store::statistics::Buckets;

/// A time range that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Day,
    Week,
    Month,
}

#[derive(Serialize)]
pub(super) struct RangeLink {
    label: &'static str,
    href: String,
    is_current: bool,
}

impl Range {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The range that a query names; a day if it names none.
    pub fn of(query: &str) -> Self {
        let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "range");
        let code = named.map(|(_, code)| code);
        Self::ALL.into_iter().find(|range| code.as_deref() == Some(range.code())).unwrap_or(Self::Day)
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Day => "in 24 hours",
            Self::Week => "in 7 days",
            Self::Month => "in 30 days",
        }
    }

    pub fn links(self) -> Vec<RangeLink> {
        let label = |range| match range {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        };
        let link = |range: Self| RangeLink {
            label: label(range),
            href: format!("/dashboard?range={}", range.code()),
            is_current: range == self,
        };
        Self::ALL.into_iter().map(link).collect()
    }

    /// The intervals of the range: half hours, four hours or days, in UTC. The last one contains
    /// `now`.
    pub fn buckets(self, now: Timestamp) -> Buckets {
        let (width_s, count) = match self {
            Self::Day => (30 * 60, 48),
            Self::Week => (4 * 60 * 60, 42),
            Self::Month => (24 * 60 * 60, 30),
        };
        let width_us = width_s * 1_000_000;
        let end = (now.unix_microseconds() / width_us + 1) * width_us;
        Buckets { start_us: end - count * width_us, width_us, count }
    }

    /// The name of an interval.
    pub fn interval(self, buckets: Buckets, index: i64) -> String {
        let start = Timestamp::from_unix_microseconds(buckets.start_us + index * buckets.width_us);
        let end = start.later_by(Duration::from_micros(buckets.width_us.unsigned_abs()));
        let date = format_description!("[day padding:none] [month repr:short]");
        let time = format_description!("[hour]:[minute]");
        let (start, end) = (start.to_utc(), end.to_utc());
        let (date, from, to) = (start.format(date), start.format(time), end.format(time));
        let (date, from, to) = (date.unwrap_or_default(), from.unwrap_or_default(), to.unwrap_or_default());
        match self {
            Self::Day | Self::Week => format!("{date}, {from}–{to}"),
            Self::Month => date,
        }
    }

    /// The time below a plot.
    pub fn time(self, at_us: i64) -> String {
        let at = Timestamp::from_unix_microseconds(at_us).to_utc();
        let text = match self {
            Self::Day => at.format(format_description!("[hour]:[minute]")),
            Self::Week | Self::Month => {
                at.format(format_description!("[day padding:none] [month repr:short]"))
            }
        };
        text.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_range_has_begun() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        for range in Range::ALL {
            let Buckets { start_us, width_us, count } = range.buckets(now);
            let end = start_us + count * width_us;
            let now = now.unix_microseconds();
            assert!(end - width_us <= now && now < end && end % width_us == 0, "{range:?}");
        }
    }
}
