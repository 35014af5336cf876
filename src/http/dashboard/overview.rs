//! The overview: hand-offs and refusals over time, what is unusual, and the latest events. Without
//! a store, the counters of this process.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use time::macros::format_description;
use url::form_urlencoded;

use super::super::context::RequestContext;
use super::super::refused::RefusedRequest;
use super::pages::{Current, Visit};
use super::plot::{Plot, Series};
use super::view::{EventRow, Moment, duration, number, query, title_of};
use crate::audit::AuditHealth;
use crate::audit::unusual::{self, MIN_PEERS, Observations, RECENT, Unusual};
use crate::clock::Timestamp;
use crate::refusal::Reason;
use crate::store::events::{EventFilter, EventOrder, EventQuery, StoredEvent};
use crate::store::statistics::{Buckets, EventKind, EventSeries};
use crate::store::{Store, StoreError};

/// A range of time that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Day,
    Week,
    Month,
}

#[derive(Serialize)]
struct Overview {
    ranges: Vec<RangeLink>,
    tiles: Vec<Tile>,
    /// Why there are no plots, or old ones.
    notices: Vec<Notice>,
    plots: Vec<Plot>,
    unusual: Vec<Mark>,
    /// Whether the numbers are those of the store.
    is_stored: bool,
    totals: Vec<Total>,
    latest: Vec<EventRow>,
}

#[derive(Serialize)]
struct RangeLink {
    label: &'static str,
    href: String,
    is_current: bool,
}

#[derive(Serialize)]
struct Tile {
    label: &'static str,
    value: String,
    note: String,
}

/// What to set for more to be shown, or what fails.
#[derive(Serialize)]
struct Notice {
    is_failure: bool,
    title: &'static str,
    text: String,
    code: &'static str,
}

#[derive(Serialize)]
struct Mark {
    title: String,
    text: String,
    /// The events, if a filter finds them.
    href: Option<String>,
}

/// The numbers of an entrance.
#[derive(Default, Serialize)]
struct Total {
    entrance: Option<String>,
    handed_off: i64,
    verified: i64,
    refused: i64,
    /// The most frequent first.
    reasons: Vec<ReasonTotal>,
}

#[derive(Serialize)]
struct ReasonTotal {
    code: String,
    title: Option<&'static str>,
    count: i64,
}

/// What the store has.
struct Stored {
    series: Vec<EventSeries>,
    latest: Vec<StoredEvent>,
    observations: Observations,
}

/// The latest events of the overview.
const LATEST: i64 = 10;

/// Subjects that are told at most.
const MAX_SUBJECTS: i64 = 5;

/// The times below a plot.
const TIMES: i64 = 5;

/// The page.
pub(super) async fn page(visit: Visit<'_>, request: &HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let context = visit.context;
    let range = Range::of(request.uri().query().unwrap_or_default());
    let now = context.received;
    let buckets = range.buckets(now);
    let mut notices = health(context);
    let stored = match &context.shared.store {
        None => None,
        Some(store) => match read(store, buckets, now).await {
            Ok(stored) => Some(stored),
            Err(error) => {
                tracing::warn!(%error, "the dashboard cannot read the store");
                notices.insert(0, Notice::failure("The store cannot be read", error.to_string()));
                None
            }
        },
    };
    let totals = match &stored {
        Some(stored) => totals_of(&stored.series),
        None => counted(context),
    };
    let overview = Overview {
        ranges: if stored.is_some() { range.links() } else { Vec::new() },
        tiles: tiles(context, &totals, stored.is_some().then_some(range)),
        notices,
        plots: stored.as_ref().map_or_else(Vec::new, |stored| plots(&stored.series, range, buckets)),
        is_stored: stored.is_some(),
        totals,
        latest: stored.iter().flat_map(|stored| &stored.latest).map(EventRow::of).collect(),
        unusual: stored
            .map_or_else(Vec::new, |stored| unusual::find(stored.observations, now))
            .into_iter()
            .map(Mark::of)
            .collect(),
    };
    visit.respond(StatusCode::OK, Current::Overview, "overview.html", overview)
}

/// The statements read different indexes, so they run at the same time.
async fn read(store: &Store, buckets: Buckets, now: Timestamp) -> Result<Stored, StoreError> {
    let hour = now.earlier_by(RECENT).unix_microseconds();
    let latest = EventQuery {
        filter: EventFilter::default(),
        order: EventOrder::NewestFirst,
        after: None,
        limit: LATEST,
    };
    let (series, recent, subjects, first_hand_offs, expired, invalid, latest) = tokio::join!(
        store.event_series(buckets),
        store.event_series(unusual::burst_buckets(now)),
        store.subjects_by_peers(hour, MIN_PEERS, MAX_SUBJECTS),
        store.first_hand_offs(),
        store.refusals_by_detail(Reason::ExpiredToken.code(), hour),
        store.refusals_by_detail(Reason::InvalidToken.code(), hour),
        store.events(latest),
    );
    let observations = Observations {
        subjects: subjects?,
        series: recent?,
        first_hand_offs: first_hand_offs?,
        token_refusals: [expired?, invalid?].concat(),
    };
    Ok(Stored { series: series?, latest: latest?, observations })
}

fn health(context: &RequestContext) -> Vec<Notice> {
    let mut notices = Vec::new();
    match context.shared.audit.health() {
        AuditHealth::Stored => {}
        AuditHealth::LogOnly if context.shared.store.is_some() => notices.push(Notice {
            is_failure: false,
            title: "Audit events are not stored",
            text: "They are only logged. To store them, so that they are shown here, set:".to_owned(),
            code: "[audit]\ndurability = \"commit\"",
        }),
        AuditHealth::LogOnly => notices.push(Notice {
            is_failure: false,
            title: "There is no store",
            text: "Plots, the search and what is unusual need stored audit events. To store them, set:"
                .to_owned(),
            code: "[store]\nurl = \"sqlite:data/marketplace-sso.db\"\n\n[audit]\ndurability = \"commit\"",
        }),
        AuditHealth::Failing { error, .. } => {
            notices.push(Notice::failure("Audit events cannot be stored", error));
        }
    }
    notices
}

fn tiles(context: &RequestContext, totals: &[Total], range: Option<Range>) -> Vec<Tile> {
    let since = range.map_or("since the start", Range::words).to_owned();
    let sum = |of: fn(&Total) -> i64| totals.iter().map(of).sum::<i64>();
    let (handed_off, verified, refused) =
        (sum(|total| total.handed_off), sum(|total| total.verified), sum(|total| total.refused));
    let share = match handed_off + verified + refused {
        0 => "no requests".to_owned(),
        #[expect(clippy::cast_precision_loss, reason = "a share in percent")]
        all => format!("{:.1} % of requests", refused as f64 / all as f64 * 100.0),
    };
    let tile = |label, value, note| Tile { label, value, note };
    let mut tiles = vec![tile("Hand-offs", number(handed_off), since.clone())];
    if verified > 0 {
        tiles.push(tile("Verified for APIs", number(verified), since));
    }
    let uptime = duration(context.shared.uptime.elapsed().as_secs());
    tiles.push(tile("Refusals", number(refused), share));
    tiles.push(tile("Uptime", uptime, format!("since {} UTC", Moment::of(context.shared.started).text)));
    tiles
}

fn plots(series: &[EventSeries], range: Range, buckets: Buckets) -> Vec<Plot> {
    let intervals: Vec<String> = (0..buckets.count).map(|index| range.interval(buckets, index)).collect();
    let step = (buckets.count * buckets.width_us) / (TIMES - 1);
    let times: Vec<String> = (0..TIMES).map(|index| range.time(buckets.start_us + index * step)).collect();
    let mut served: BTreeMap<&str, BTreeMap<&str, Vec<i64>>> = BTreeMap::new();
    let mut refused: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for EventSeries { entrance, kind, counts } in series {
        let sum = match kind {
            EventKind::Served(outcome) => {
                served.entry(outcome).or_default().entry(entrance.as_deref().unwrap_or_default()).or_default()
            }
            EventKind::Refused(reason) => refused.entry(reason).or_default(),
        };
        sum.resize(counts.len(), 0);
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let all = |sums: BTreeMap<&str, Vec<i64>>| {
        let series = sums.into_iter().map(|(label, counts)| Series { label: label.to_owned(), counts });
        series.collect::<Vec<_>>()
    };
    let plot = |id, title, series| Plot::new(id, title, series, &intervals, times.clone());
    let mut plots = vec![plot(
        "hand-offs",
        "Hand-offs by entrance",
        all(served.remove("handed_off").unwrap_or_default()),
    )];
    plots.push(plot("refusals", "Refusals by reason", all(refused)));
    if let Some(verified) = served.remove("verified") {
        plots.push(plot("verified", "Users verified for APIs, by entrance", all(verified)));
    }
    plots
}

fn totals_of(series: &[EventSeries]) -> Vec<Total> {
    let mut totals: BTreeMap<Option<&str>, Total> = BTreeMap::new();
    for EventSeries { entrance, kind, counts } in series {
        let total = totals.entry(entrance.as_deref()).or_default();
        total.entrance.clone_from(entrance);
        let count = counts.iter().sum();
        match kind {
            EventKind::Served(outcome) => match outcome.as_str() {
                "handed_off" => total.handed_off += count,
                "verified" => total.verified += count,
                // of a newer version
                _ => {}
            },
            EventKind::Refused(reason) => total.add_refusals(reason, count),
        }
    }
    sorted(totals.into_values().collect())
}

/// What this process counted since its start.
fn counted(context: &RequestContext) -> Vec<Total> {
    let metrics = &context.shared.metrics;
    let entrances = context.snapshot.entrances.iter().map(|runtime| {
        let handed_off = i64::try_from(runtime.metrics.hand_offs.get()).unwrap_or(i64::MAX);
        (Some(runtime.entrance.name.clone()), handed_off)
    });
    let all = entrances.chain([(None, 0)]).map(|(entrance, handed_off)| {
        let mut total = Total { handed_off, ..Total::default() };
        for reason in Reason::ALL {
            let refusals = metrics.refusals(entrance.as_deref().unwrap_or("none"), reason);
            total.add_refusals(reason.code(), i64::try_from(refusals).unwrap_or(i64::MAX));
        }
        Total { entrance, ..total }
    });
    sorted(all.filter(|total| total.entrance.is_some() || total.refused > 0).collect())
}

fn sorted(mut totals: Vec<Total>) -> Vec<Total> {
    totals.sort_by_key(|total| (total.entrance.is_none(), -total.handed_off - total.verified));
    for total in &mut totals {
        total.reasons.sort_by_key(|reason| -reason.count);
    }
    totals
}

impl Total {
    fn add_refusals(&mut self, reason: &str, count: i64) {
        if count > 0 {
            self.refused += count;
            self.reasons.push(ReasonTotal { code: reason.to_owned(), title: title_of(reason), count });
        }
    }
}

impl Notice {
    const fn failure(title: &'static str, text: String) -> Self {
        Self { is_failure: true, title, text, code: "" }
    }
}

impl Mark {
    fn of(unusual: Unusual) -> Self {
        let events = |fields: &[(&str, &str)]| Some(format!("/dashboard/events?{}", query(fields)));
        match unusual {
            Unusual::ManyPeers(found) => Self {
                title: format!("One subject from {} peers within an hour", found.peers),
                text: format!(
                    "{} requests of {}. A shared login or a stolen session can be the cause, and so can a proxy with \
                     several addresses: a peer is the address of the connection.",
                    found.events, found.subject
                ),
                href: events(&[("subject", &found.subject)]),
            },
            Unusual::RefusalBurst { refusals, usual, reason } => Self {
                title: format!("{refusals} refusals in the last ten minutes"),
                text: format!(
                    "The average of ten minutes was {usual} on the day before. Most often: {reason}. A change of the \
                     login, the proxy or the configuration is the usual cause; else a client that tries out values."
                ),
                href: events(&[("outcome", "refused"), ("reason", &reason)]),
            },
            Unusual::FirstUse { entrance, at } => Self {
                title: format!("First hand-off at the entrance {entrance}"),
                text: format!(
                    "At {} UTC; no earlier one is stored. Expected after the entrance was set up, or after the store was.",
                    Moment::of(at).text
                ),
                href: events(&[("entrance", &entrance)]),
            },
            Unusual::ClockSkew { entrance, refusals } => Self {
                title: format!("{refusals} tokens refused for their times within an hour"),
                text: format!(
                    "At {}: exp has passed, or iat or nbf is in the future. Compare the clock of this machine with that \
                     of the issuer; tokens that are used late are the other cause.",
                    entrance
                        .as_deref()
                        .map_or_else(|| "no entrance".to_owned(), |name| format!("the entrance {name}"))
                ),
                href: entrance
                    .and_then(|entrance| events(&[("outcome", "refused"), ("entrance", &entrance)])),
            },
        }
    }
}

impl Range {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The one that a query names; a day otherwise.
    fn of(query: &str) -> Self {
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

    const fn words(self) -> &'static str {
        match self {
            Self::Day => "in 24 hours",
            Self::Week => "in 7 days",
            Self::Month => "in 30 days",
        }
    }

    fn links(self) -> Vec<RangeLink> {
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

    /// Parts that begin at whole half hours, four hours or days in UTC; the last one is not over yet.
    fn buckets(self, now: Timestamp) -> Buckets {
        let (width_s, count) = match self {
            Self::Day => (30 * 60, 48),
            Self::Week => (4 * 60 * 60, 42),
            Self::Month => (24 * 60 * 60, 30),
        };
        let width_us = width_s * 1_000_000;
        let end = (now.unix_microseconds() / width_us + 1) * width_us;
        Buckets { start_us: end - count * width_us, width_us, count }
    }

    /// The name of a part.
    fn interval(self, buckets: Buckets, index: i64) -> String {
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
    fn time(self, at_us: i64) -> String {
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
