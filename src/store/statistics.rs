//! Counts of audit events for the dashboard. Counts use the indexes of migration 4, so that a
//! million events take about a tenth of a second; samples read a limited number of events.

use super::macros::reading;
use super::{Engine, Store, StoreError};

/// Equal parts of a time range. Times are microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The start of the first part.
    pub start_us: i64,
    /// The length of each part.
    pub width_us: i64,
    /// How many.
    pub count: i64,
}

/// The number of events of one kind, in each part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSeries {
    /// The entrance; `None` for requests outside of entrances.
    pub entrance: Option<String>,
    /// What happened.
    pub kind: EventKind,
    /// The numbers, one for each part.
    pub counts: Vec<i64>,
}

/// What happened to the requests of a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// They were served, with this outcome: `handed_off` or `verified`.
    Served(String),
    /// They were refused, with this reason.
    Refused(String),
}

/// A subject, and the number of peers from which its requests came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPeers {
    /// The subject, in the form that `audit.subject` selects.
    pub subject: String,
    /// The number of different peers.
    pub peers: i64,
    /// The number of requests.
    pub events: i64,
}

/// Refusals of one entrance with the same reason and detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The entrance.
    pub entrance: Option<String>,
    /// The reason.
    pub reason: String,
    /// The detail.
    pub detail: Option<String>,
    /// How many.
    pub count: i64,
}

/// The maximum number of events that a sample reads.
pub const MAX_SAMPLE: i64 = 20_000;

/// The different values of an indexed column, in order: one step in the index for each.
macro_rules! distinct {
    ($column:literal, $conditions:literal) => {
        concat!(
            "WITH RECURSIVE found(value) AS (SELECT min(",
            $column,
            ") FROM audit_events WHERE ",
            $conditions,
            " UNION ALL SELECT (SELECT min(",
            $column,
            ") FROM audit_events WHERE ",
            $conditions,
            " AND ",
            $column,
            " > found.value) FROM found WHERE found.value IS NOT NULL)
            SELECT value FROM found WHERE value IS NOT NULL"
        )
    };
}

/// Counts each part of a range: `$1` its start, `$2` the length of a part, `$3` their number.
macro_rules! in_buckets {
    ($conditions:literal) => {
        concat!(
            "WITH RECURSIVE part(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM part WHERE n + 1 < $3)
            SELECT (SELECT count(*) FROM audit_events WHERE ", $conditions,
            " AND at_us >= $1 + part.n * $2 AND at_us < $1 + (part.n + 1) * $2) FROM part ORDER BY part.n"
        )
    };
}

const REASONS: &str = distinct!("reason", "reason IS NOT NULL");
const REFUSING_ENTRANCES: &str = distinct!("entrance", "reason = $1");
const SERVING_ENTRANCES: &str = distinct!("entrance", "reason IS NULL AND entrance IS NOT NULL");
const OUTCOMES: &str = distinct!("outcome", "entrance = $1 AND reason IS NULL AND entrance IS NOT NULL");

const SERVED: &str =
    in_buckets!("entrance = $4 AND outcome = $5 AND reason IS NULL AND entrance IS NOT NULL");
const REFUSED: &str = in_buckets!("entrance = $4 AND reason = $5");
const REFUSED_OUTSIDE: &str = in_buckets!("entrance IS NULL AND reason = $4");

impl Store {
    /// The numbers of requests that were served and refused, by entrance, outcome and reason. Kinds without
    /// an event in the range are left out.
    pub async fn event_series(&self, buckets: Buckets) -> Result<Vec<EventSeries>, StoreError> {
        let Buckets { start_us, width_us, count } = buckets;
        reading!(self, |connection| {
            let mut all = Vec::new();
            let entrances: Vec<String> =
                sqlx::query_scalar(SERVING_ENTRANCES).fetch_all(&mut *connection).await?;
            for entrance in entrances {
                let outcomes: Vec<String> =
                    sqlx::query_scalar(OUTCOMES).bind(&entrance).fetch_all(&mut *connection).await?;
                for outcome in outcomes {
                    let select = sqlx::query_scalar(SERVED).bind(start_us).bind(width_us).bind(count);
                    let select = select.bind(&entrance).bind(&outcome);
                    let counts: Vec<i64> = select.fetch_all(&mut *connection).await?;
                    all.push(EventSeries {
                        entrance: Some(entrance.clone()),
                        kind: EventKind::Served(outcome),
                        counts,
                    });
                }
            }
            let reasons: Vec<String> = sqlx::query_scalar(REASONS).fetch_all(&mut *connection).await?;
            for reason in reasons {
                let kind = EventKind::Refused(reason.clone());
                let outside = sqlx::query_scalar(REFUSED_OUTSIDE).bind(start_us).bind(width_us).bind(count);
                let counts: Vec<i64> = outside.bind(&reason).fetch_all(&mut *connection).await?;
                all.push(EventSeries { entrance: None, kind: kind.clone(), counts });
                let entrances: Vec<String> =
                    sqlx::query_scalar(REFUSING_ENTRANCES).bind(&reason).fetch_all(&mut *connection).await?;
                for entrance in entrances {
                    let select = sqlx::query_scalar(REFUSED).bind(start_us).bind(width_us).bind(count);
                    let select = select.bind(&entrance).bind(&reason);
                    let counts: Vec<i64> = select.fetch_all(&mut *connection).await?;
                    all.push(EventSeries { entrance: Some(entrance), kind: kind.clone(), counts });
                }
            }
            all.retain(|series| series.counts.iter().any(|count| *count > 0));
            all
        })
    }

    /// The time of the first stored hand-off of each entrance.
    pub async fn first_hand_offs(&self) -> Result<Vec<(String, i64)>, StoreError> {
        reading!(self, |connection| {
            let entrances: Vec<String> =
                sqlx::query_scalar(SERVING_ENTRANCES).fetch_all(&mut *connection).await?;
            let mut all = Vec::new();
            for entrance in entrances {
                let sql = "SELECT min(at_us) FROM audit_events WHERE entrance = $1 AND outcome = 'handed_off'
                    AND reason IS NULL AND entrance IS NOT NULL";
                let first: Option<i64> =
                    sqlx::query_scalar(sql).bind(&entrance).fetch_one(&mut *connection).await?;
                all.extend(first.map(|at_us| (entrance, at_us)));
            }
            all
        })
    }

    /// Subjects whose requests since `since_us` came from at least `min_peers` peers, the most first; at
    /// most `limit` of them, and only among the latest [`MAX_SAMPLE`] events.
    pub async fn subjects_by_peers(
        &self,
        since_us: i64,
        min_peers: i64,
        limit: i64,
    ) -> Result<Vec<SubjectPeers>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT subject, count(DISTINCT peer) AS peers, count(*) AS events FROM (
                    SELECT subject, peer FROM audit_events WHERE at_us >= $1
                    ORDER BY at_us DESC, writer DESC, seq DESC LIMIT $2) AS latest
                WHERE subject IS NOT NULL GROUP BY subject HAVING count(DISTINCT peer) >= $3
                ORDER BY peers DESC, events DESC, subject LIMIT $4";
            let select = sqlx::query_as(sql).bind(since_us).bind(MAX_SAMPLE).bind(min_peers).bind(limit);
            let rows: Vec<(String, i64, i64)> = select.fetch_all(&mut *connection).await?;
            rows.into_iter().map(|(subject, peers, events)| SubjectPeers { subject, peers, events }).collect()
        })
    }

    /// The latest refusals with this reason since `since_us`, at most [`MAX_SAMPLE`], by entrance and detail.
    pub async fn refusals_by_detail(
        &self,
        reason: &'static str,
        since_us: i64,
    ) -> Result<Vec<RefusalCount>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT entrance, detail, count(*) AS number FROM (
                    SELECT entrance, detail FROM audit_events WHERE reason = $1 AND at_us >= $2
                    ORDER BY at_us DESC LIMIT $3) AS latest
                GROUP BY entrance, detail ORDER BY number DESC";
            let select = sqlx::query_as(sql).bind(reason).bind(since_us).bind(MAX_SAMPLE);
            let rows: Vec<(Option<String>, Option<String>, i64)> = select.fetch_all(&mut *connection).await?;
            let count = |(entrance, detail, count)| RefusalCount {
                entrance,
                reason: reason.to_owned(),
                detail,
                count,
            };
            rows.into_iter().map(count).collect()
        })
    }
}
