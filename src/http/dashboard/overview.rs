//! The overview: hand-offs and refusals over time, what is unusual, and the latest events. Without
//! a store, the counters of this process.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;

use super::super::context::RequestContext;
use super::super::refused::RefusedRequest;
use super::notice::UnusualNotice;
use super::pages::{Current, PageRequest};
use super::plot::{Plot, Series};
use super::range::{Range, RangeLink};
use super::totals::{Total, counted, totals_of};
use super::view::{EventRow, UtcTime, duration, number};
use crate::audit::AuditHealth;
use crate::audit::unusual::{self, MIN_PEERS, Observations, RECENT};
use crate::clock::Timestamp;
use crate::refusal::Reason;
use crate::store::events::{EventFilter, EventOrder, EventQuery, StoredEvent};
use crate::store::statistics::{Buckets, EventKind, EventSeries};
use crate::store::{Store, StoreError};

#[derive(Serialize)]
struct Overview {
    ranges: Vec<RangeLink>,
    tiles: Vec<Tile>,
    /// Why plots are missing or out of date.
    notices: Vec<Notice>,
    plots: Vec<Plot>,
    unusual: Vec<UnusualNotice>,
    /// Whether the numbers come from the store, not from this process's counters.
    is_stored: bool,
    totals: Vec<Total>,
    latest: Vec<EventRow>,
}

#[derive(Serialize)]
struct Tile {
    label: &'static str,
    value: String,
    note: String,
}

/// What to configure so that more is shown, or what fails.
#[derive(Serialize)]
struct Notice {
    is_failure: bool,
    title: &'static str,
    text: String,
    code: &'static str,
}

/// What was read from the store.
struct Stored {
    series: Vec<EventSeries>,
    latest: Vec<StoredEvent>,
    observations: Observations,
}

/// The number of latest events on the overview.
const LATEST: i64 = 10;

/// The maximum number of subjects that are listed.
const MAX_SUBJECTS: i64 = 5;

/// The number of times below a plot.
const TIMES: i64 = 5;

/// The page.
pub(super) async fn page(
    page_request: PageRequest<'_>,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let context = page_request.context;
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
            .map(UnusualNotice::of)
            .collect(),
    };
    page_request.respond(StatusCode::OK, Current::Overview, "overview.html", overview)
}

/// Reads everything with concurrent queries, which use different indexes.
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
            text: "Plots, the search and the detection of unusual events need stored audit events. To store them, set:"
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
    tiles.push(tile("Uptime", uptime, format!("since {} UTC", UtcTime::of(context.shared.started).text)));
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

impl Notice {
    const fn failure(title: &'static str, text: String) -> Self {
        Self { is_failure: true, title, text, code: "" }
    }
}
