//! The page of stored events: filtered, or those of a request id, a subject or a `jti`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::time::Duration;
use url::form_urlencoded;
use uuid::Uuid;

use super::super::context::RequestContext;
use super::super::refused::RefusedRequest;
use super::pages::{Current, PageRequest};
use super::view::{EventRow, outcome_label, query};
use crate::audit::subject_forms;
use crate::refusal::Reason;
use crate::store::events::{EventFilter, EventOrder, EventPosition, EventQuery, StoredEvent};
use crate::store::{Store, StoreError};

/// What a query asks for. Empty texts select all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Search {
    /// A request id, a `jti` or a subject.
    q: String,
    outcome: String,
    reason: String,
    entrance: String,
    /// The code of a [`PERIODS`] entry.
    period: String,
    subject: String,
    /// The position of the last event of the previous page.
    after: String,
}

#[derive(Serialize)]
struct Events {
    search: Search,
    has_store: bool,
    /// Why no events are shown.
    error: Option<String>,
    events: Vec<EventRow>,
    /// The URL of the next page.
    older: Option<String>,
    /// The URL of the first page, if this is not the first.
    newest: Option<String>,
    outcomes: Vec<Choice>,
    reasons: Vec<Choice>,
    entrances: Vec<Choice>,
    periods: Vec<Choice>,
}

#[derive(Serialize)]
struct Choice {
    value: String,
    label: String,
}

/// The number of events on a page.
const PAGE: usize = 50;

/// The maximum length of a text in a query, in bytes; longer ones are ignored.
const MAX_TEXT: usize = 1024;

const OUTCOMES: [&str; 21] = [
    "handed_off",
    "verified",
    "signed_in",
    "signed_out",
    "sessions_ended",
    "refused",
    "started",
    "stopped",
    "reloaded",
    "key_rotated",
    "token_created",
    "token_revoked",
    "purged",
    "forgotten",
    "instance_added",
    "instance_updated",
    "secret_rotated",
    "instance_removed",
    "webhook_ignored",
    "webhook_dry_run",
    "access_token_issued",
];

/// Code, label and seconds.
const PERIODS: [(&str, &str, u64); 4] = [
    ("1h", "last hour", 3600),
    ("24h", "last 24 hours", 86_400),
    ("7d", "last 7 days", 7 * 86_400),
    ("30d", "last 30 days", 30 * 86_400),
];

/// The page.
pub(super) async fn page(
    page_request: PageRequest<'_>,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let context = page_request.context;
    let search = Search::of(request.uri().query().unwrap_or_default());
    let found = match &context.shared.store {
        None => Ok(Vec::new()),
        Some(store) => find(store, context, &search).await,
    };
    let (mut events, error) = match found {
        Ok(events) => (events, None),
        Err(error) => {
            tracing::warn!(%error, "the dashboard cannot read the store");
            (Vec::new(), Some(error.to_string()))
        }
    };
    let has_more = events.len() > PAGE;
    events.truncate(PAGE);
    let older = events.last().filter(|_| has_more).map(|last| search.page_after(Some(last.position())));
    let names = context.snapshot.entrances.iter().map(|runtime| runtime.entrance.name.clone());
    let mut entrances: Vec<Choice> = names.map(|name| Choice { label: name.clone(), value: name }).collect();
    // the entrance may be one of an earlier configuration
    if !search.entrance.is_empty() && !entrances.iter().any(|choice| choice.value == search.entrance) {
        entrances.push(Choice { value: search.entrance.clone(), label: search.entrance.clone() });
    }
    let choice = |value: &str, label: &str| Choice { value: value.to_owned(), label: label.to_owned() };
    let page = Events {
        newest: (!search.after.is_empty()).then(|| search.page_after(None)),
        has_store: context.shared.store.is_some(),
        error,
        events: events.iter().map(EventRow::of).collect(),
        older,
        outcomes: OUTCOMES.iter().map(|outcome| choice(outcome, outcome_label(outcome))).collect(),
        reasons: Reason::ALL.iter().map(|reason| choice(reason.code(), reason.code())).collect(),
        entrances,
        periods: PERIODS.iter().map(|(code, label, _)| choice(code, label)).collect(),
        search,
    };
    page_request.respond(StatusCode::OK, Current::Events, "events.html", page)
}

/// Finds the events, and one more than a page has, if there are more. A text in the form of an id
/// is tried as a request id, then as a `jti`, then as a subject.
async fn find(
    store: &Store,
    context: &RequestContext,
    search: &Search,
) -> Result<Vec<StoredEvent>, StoreError> {
    let base = search.filter(context);
    let mut filters = Vec::new();
    if !search.q.is_empty() {
        if let Ok(id) = Uuid::parse_str(&search.q) {
            filters.push(EventFilter { request_id: Some(id), ..base.clone() });
            filters.push(EventFilter { jti: Some(id), ..base.clone() });
        }
        let subjects = subject_forms(&search.q, &context.snapshot.pseudonym_keys);
        filters.push(EventFilter { subjects: Some(subjects), ..base });
    } else {
        filters.push(base);
    }
    let mut found = Vec::new();
    for filter in filters {
        let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        let query = EventQuery { filter, order: EventOrder::NewestFirst, after: search.position(), limit };
        found = store.events(query).await?;
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

impl Search {
    fn of(query: &str) -> Self {
        let mut search = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match name.as_ref() {
                "q" => &mut search.q,
                "outcome" => &mut search.outcome,
                "reason" => &mut search.reason,
                "entrance" => &mut search.entrance,
                "period" => &mut search.period,
                "subject" => &mut search.subject,
                "after" => &mut search.after,
                _ => continue,
            };
            // PostgreSQL's texts have no NUL
            if value.len() <= MAX_TEXT && !value.contains('\0') {
                value.trim().clone_into(field);
            }
        }
        search
    }

    fn filter(&self, context: &RequestContext) -> EventFilter {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let period = PERIODS.into_iter().find(|(code, _, _)| *code == self.period);
        let since = period.map(|(_, _, seconds)| context.received.earlier_by(Duration::from_secs(seconds)));
        EventFilter {
            since_us: since.map(|since| since.unix_microseconds()),
            subjects: text(&self.subject).map(|subject| vec![subject]),
            entrance: text(&self.entrance),
            // with a reason, the outcome is redundant: only refusals have one, and an index finds
            // those of a reason
            outcome: text(&self.outcome).filter(|outcome| outcome != "refused" || self.reason.is_empty()),
            reason: text(&self.reason),
            ..EventFilter::default()
        }
    }

    /// The parsed position: `at_us`, `writer` and `seq`, separated by dots; `None` if it is
    /// malformed.
    fn position(&self) -> Option<EventPosition> {
        let mut parts = self.after.splitn(3, '.');
        let (at_us, writer, seq) = (parts.next()?, parts.next()?, parts.next()?);
        Some(EventPosition {
            at_us: at_us.parse().ok()?,
            writer: Uuid::parse_str(writer).ok()?,
            seq: seq.parse().ok()?,
        })
    }

    fn page_after(&self, position: Option<EventPosition>) -> String {
        let after = position
            .map(|EventPosition { at_us, writer, seq }| format!("{at_us}.{writer}.{seq}"))
            .unwrap_or_default();
        let fields = [
            ("q", &self.q),
            ("outcome", &self.outcome),
            ("reason", &self.reason),
            ("entrance", &self.entrance),
            ("period", &self.period),
            ("subject", &self.subject),
            ("after", &after),
        ];
        let set: Vec<(&str, &str)> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.as_str()))
            .collect();
        format!("/dashboard/events?{}", query(&set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_continues_after_the_last_event() {
        let search = Search::of("q=+a%26b+&outcome=refused&unknown=1");
        assert_eq!((search.q.as_str(), search.outcome.as_str()), ("a&b", "refused"));
        let position = EventPosition { at_us: 5, writer: Uuid::nil(), seq: 7 };
        let href = search.page_after(Some(position));
        let next = Search::of(href.split_once('?').unwrap().1);
        assert_eq!(next.position(), Some(position));
        assert_eq!(Search { after: String::new(), ..next }, search);
    }

    #[test]
    fn a_malformed_position_is_none() {
        for after in ["", "1", "1.2.3", "x.00000000-0000-0000-0000-000000000000.1"] {
            assert_eq!(Search { after: after.into(), ..Search::default() }.position(), None, "{after}");
        }
    }

    #[test]
    fn long_texts_and_control_characters_select_all() {
        let search = Search::of(&format!("q={}&subject=a%00b", "a".repeat(MAX_TEXT + 1)));
        assert_eq!(search, Search::default());
    }
}
