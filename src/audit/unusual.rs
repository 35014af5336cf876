//! Finds what is unusual in recent audit events, for the dashboard. Pure: the store counts the
//! events. A result is a reason to look, and not proof of an attack.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::refusal::Reason;
use crate::store::statistics::{Buckets, EventKind, EventSeries, RefusalCount, SubjectPeers};

/// What the store counted.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Subjects of the last hour with at least [`MIN_PEERS`] peers.
    pub subjects: Vec<SubjectPeers>,
    /// The events in [`burst_buckets`].
    pub series: Vec<EventSeries>,
    /// The first stored hand-off of each entrance, in microseconds since the Unix epoch.
    pub first_hand_offs: Vec<(String, i64)>,
    /// Refusals of tokens in the last hour, by detail.
    pub token_refusals: Vec<RefusalCount>,
}

/// Something unusual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusual {
    /// A subject's requests came from many peers within an hour.
    ManyPeers(SubjectPeers),
    /// Many more refusals in the last ten minutes than on average.
    RefusalBurst {
        /// In the last ten minutes.
        refusals: i64,
        /// The average of ten minutes on the day before, rounded.
        usual: i64,
        /// The most frequent reason.
        reason: String,
    },
    /// The first hand-off of an entrance was within the last day.
    FirstUse {
        /// The entrance.
        entrance: String,
        /// When.
        at: Timestamp,
    },
    /// Tokens were refused because of their times, which clocks that differ can cause.
    ClockSkew {
        /// The entrance.
        entrance: Option<String>,
        /// In the last hour.
        refusals: i64,
    },
}

/// The period in which a subject's peers and refused tokens are counted.
pub const RECENT: Duration = Duration::from_secs(60 * 60);

/// The minimum number of peers of one subject that is unusual.
pub const MIN_PEERS: i64 = 5;

/// The minimum number of refusals in the last ten minutes that can be a burst.
const MIN_BURST: i64 = 20;

/// The minimum ratio of a burst to the average.
const BURST_FACTOR: i64 = 5;

/// Ten minutes, in microseconds.
const PART_US: i64 = 10 * 60 * 1_000_000;

/// The number of ten-minute parts of a day.
const PARTS: i64 = 144;

/// How long a first use counts as unusual.
const NEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The minimum number of refused tokens that suggests that clocks differ.
const MIN_SKEWED: i64 = 3;

/// The ranges that find bursts: a day, and after it the last ten minutes. Both have the same
/// length, so the second one extends into the future.
pub fn burst_buckets(now: Timestamp) -> Buckets {
    let width_us = PARTS * PART_US;
    Buckets { start_us: now.unix_microseconds().saturating_sub(width_us + PART_US), width_us, count: 2 }
}

/// Finds what is unusual.
pub fn find(observations: Observations, now: Timestamp) -> Vec<Unusual> {
    let Observations { subjects, series, first_hand_offs, token_refusals } = observations;
    let many = subjects.into_iter().filter(|subject| subject.peers >= MIN_PEERS).map(Unusual::ManyPeers);
    let earliest = now.earlier_by(NEW);
    let first = first_hand_offs.into_iter().filter_map(|(entrance, at_us)| {
        let at = Timestamp::from_unix_microseconds(at_us);
        (at >= earliest).then_some(Unusual::FirstUse { entrance, at })
    });
    burst(&series).into_iter().chain(many).chain(clock_skew(&token_refusals)).chain(first).collect()
}

fn burst(series: &[EventSeries]) -> Option<Unusual> {
    let (mut recent, mut earlier) = (0, 0);
    let mut most: Option<(i64, &str)> = None;
    for EventSeries { kind, counts, .. } in series {
        let EventKind::Refused(reason) = kind else { continue };
        let [before, last] = counts.as_slice() else { continue };
        recent += last;
        earlier += before;
        if most.is_none_or(|(count, _)| *last > count) {
            most = Some((*last, reason));
        }
    }
    // recent >= factor × earlier / parts, without a division
    let is_burst = recent >= MIN_BURST && recent * PARTS >= BURST_FACTOR * earlier;
    let (_, reason) = most.filter(|_| is_burst)?;
    let usual = (earlier + PARTS / 2) / PARTS;
    Some(Unusual::RefusalBurst { refusals: recent, usual, reason: reason.to_owned() })
}

fn clock_skew(refusals: &[RefusalCount]) -> Vec<Unusual> {
    let mut entrances: Vec<(Option<&str>, i64)> = Vec::new();
    for refusal in refusals.iter().filter(|refusal| is_about_time(refusal)) {
        let entrance = refusal.entrance.as_deref();
        match entrances.iter_mut().find(|(known, _)| *known == entrance) {
            Some((_, count)) => *count += refusal.count,
            None => entrances.push((entrance, refusal.count)),
        }
    }
    let skewed = entrances.into_iter().filter(|(_, refusals)| *refusals >= MIN_SKEWED);
    skewed
        .map(|(entrance, refusals)| Unusual::ClockSkew { entrance: entrance.map(str::to_owned), refusals })
        .collect()
}

/// Whether the token has expired, or its `iat` or `nbf` is the claim that is wrong.
fn is_about_time(refusal: &RefusalCount) -> bool {
    let names = |claim: &str| refusal.detail.as_deref().is_some_and(|detail| detail.contains(claim));
    refusal.reason == Reason::ExpiredToken.code() || names("claim iat ") || names("claim nbf ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::jwt::verify::VerifyError;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn refused(reason: &str, earlier: i64, recent: i64) -> EventSeries {
        let counts = vec![earlier, recent];
        EventSeries { entrance: None, kind: EventKind::Refused(reason.to_owned()), counts }
    }

    fn found_in(series: Vec<EventSeries>) -> Vec<Unusual> {
        find(Observations { series, ..Observations::default() }, NOW)
    }

    #[rstest]
    #[case::too_few(0, 19, false)]
    #[case::enough(0, 20, true)]
    #[case::five_times_the_average(576, 20, true)]
    #[case::less(577, 20, false)]
    #[case::many_but_usual(144 * 1000, 1000, false)]
    fn a_burst_is_many_and_more_than_usual(
        #[case] earlier: i64,
        #[case] recent: i64,
        #[case] expected: bool,
    ) {
        assert_eq!(!found_in(vec![refused("bad_link", earlier, recent)]).is_empty(), expected);
    }

    #[test]
    fn a_burst_names_its_main_reason() {
        let found = found_in(vec![refused("bad_link", 288, 5), refused("not_found", 0, 25)]);
        let expected = Unusual::RefusalBurst { refusals: 30, usual: 2, reason: "not_found".into() };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn the_last_ten_minutes_follow_the_day() {
        let Buckets { start_us, width_us, count } = burst_buckets(NOW);
        let recent = start_us + width_us;
        assert_eq!((width_us, count), (24 * 3600 * 1_000_000, 2));
        assert_eq!(Timestamp::from_unix_microseconds(recent), NOW.earlier_by(Duration::from_secs(600)));
    }

    #[test]
    fn hand_offs_are_not_a_burst() {
        let mut series = refused("", 0, 1000);
        series.kind = EventKind::Served("handed_off".into());
        assert_eq!(found_in(vec![series]), []);
    }

    #[test]
    fn a_subject_with_five_peers_is_unusual() {
        let subject = |peers| SubjectPeers { subject: "a".into(), peers, events: 9 };
        let observations = Observations { subjects: vec![subject(4), subject(5)], ..Observations::default() };
        assert_eq!(find(observations, NOW), [Unusual::ManyPeers(subject(5))]);
    }

    #[test]
    fn a_first_use_is_unusual_for_a_day() {
        let at = |earlier_s| NOW.earlier_by(Duration::from_secs(earlier_s));
        let first = |name: &str, at: Timestamp| (name.to_owned(), at.unix_microseconds());
        let first_hand_offs = vec![first("new", at(86_400)), first("old", at(86_401))];
        let found = find(Observations { first_hand_offs, ..Observations::default() }, NOW);
        assert_eq!(found, [Unusual::FirstUse { entrance: "new".into(), at: at(86_400) }]);
    }

    #[test]
    fn clock_skew_is_counted_by_entrance() {
        let refusal = |entrance: &str, reason: Reason, detail: String, count| RefusalCount {
            entrance: Some(entrance.to_owned()),
            reason: reason.code().to_owned(),
            detail: Some(detail),
            count,
        };
        let claim = |name: &str| VerifyError::WrongClaim(name.to_owned()).to_string();
        let token_refusals = vec![
            refusal("a", Reason::ExpiredToken, VerifyError::Expired.to_string(), 1),
            refusal("a", Reason::InvalidToken, claim("iat"), 1),
            refusal("a", Reason::InvalidToken, claim("nbf"), 1),
            refusal("b", Reason::ExpiredToken, VerifyError::Expired.to_string(), 2),
            refusal("b", Reason::InvalidToken, claim("aud"), 5),
        ];
        let found = find(Observations { token_refusals, ..Observations::default() }, NOW);
        assert_eq!(found, [Unusual::ClockSkew { entrance: Some("a".into()), refusals: 3 }]);
    }
}
