//! The totals of each entrance: from the store, or from the counters of this process.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::context::RequestContext;
use super::view::title_of;
use crate::refusal::Reason;
use crate::store::statistics::{EventKind, EventSeries};

/// The numbers of an entrance.
#[derive(Default, Serialize)]
pub(super) struct Total {
    pub entrance: Option<String>,
    pub handed_off: i64,
    pub verified: i64,
    pub refused: i64,
    /// The most frequent first.
    pub reasons: Vec<ReasonTotal>,
}

#[derive(Serialize)]
pub(super) struct ReasonTotal {
    pub code: String,
    pub title: Option<&'static str>,
    pub count: i64,
}

/// Sums up series by entrance.
pub(super) fn totals_of(series: &[EventSeries]) -> Vec<Total> {
    let mut totals: BTreeMap<Option<&str>, Total> = BTreeMap::new();
    for EventSeries { entrance, kind, counts } in series {
        let total = totals.entry(entrance.as_deref()).or_default();
        total.entrance.clone_from(entrance);
        let count = counts.iter().sum();
        match kind {
            EventKind::Served(outcome) => match outcome.as_str() {
                "handed_off" => total.handed_off += count,
                "verified" => total.verified += count,
                // an outcome that a newer version of the service has stored
                _ => {}
            },
            EventKind::Refused(reason) => total.add_refusals(reason, count),
        }
    }
    sorted(totals.into_values().collect())
}

/// What this process counted since its start.
pub(super) fn counted(context: &RequestContext) -> Vec<Total> {
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
