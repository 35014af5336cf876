//! The query of `GET /v1/audit`: which events, and the cursor that continues after one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::page_query::{self, Wrong, is_lower_case};
use super::refused::RefusedRequest;
use crate::audit::{PseudonymKey, subject_forms};
use crate::clock::Timestamp;
use crate::store::events::{EventFilter, EventOrder, EventPosition, EventQuery};

/// A valid query.
#[derive(Debug)]
pub(super) struct AuditQuery {
    pub query: EventQuery,
    /// The number of events on a page.
    pub limit: i64,
}

/// A position in the order of events. Its text is opaque to programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub order: EventOrder,
    pub position: EventPosition,
}

/// The parameters.
const PARAMETERS: [&str; 11] = [
    "since",
    "until",
    "subject",
    "entrance",
    "outcome",
    "reason",
    "jti",
    "request_id",
    "order",
    "limit",
    "cursor",
];

/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 512;

const TIME: &str = "write 2026-10-01, 2026-10-01T12:00:00Z, or how long ago: 90m, 24h, 7d; write a + as %2B";
const CURSOR: &str = "pass next_cursor unchanged, with the same order";

impl AuditQuery {
    /// Parses the query part of a URL. An unknown, repeated or invalid parameter is refused.
    pub fn parse(query: &str, keys: &[PseudonymKey]) -> Result<Self, RefusedRequest> {
        let values = page_query::values(query, PARAMETERS)?;
        Self::of_values(values, keys).map_err(page_query::refuse)
    }

    fn of_values(values: [Option<String>; PARAMETERS.len()], keys: &[PseudonymKey]) -> Result<Self, Wrong> {
        let [since, until, subject, entrance, outcome, reason, jti, request_id, order, limit, cursor] =
            values;
        let order = match order.as_deref() {
            None | Some("newest") => EventOrder::NewestFirst,
            Some("oldest") => EventOrder::OldestFirst,
            Some(_) => return Err(("order", "write newest or oldest")),
        };
        let limit = page_query::limit(limit)?;
        let after = match cursor {
            None => None,
            Some(text) => {
                let cursor = Cursor::parse(&text).filter(|cursor| cursor.order == order);
                Some(cursor.ok_or(("cursor", CURSOR))?.position)
            }
        };
        let subject = optional(subject, text, ("subject", "write a text without control characters"))?;
        let code = "write lower-case letters and underscores";
        let filter = EventFilter {
            since_us: optional(since, time, ("since", TIME))?,
            until_us: optional(until, time, ("until", TIME))?,
            subjects: subject.map(|subject| subject_forms(&subject, keys)),
            entrance: optional(entrance, text, ("entrance", "write the name of an entrance"))?,
            outcome: optional(outcome, self::code, ("outcome", code))?,
            reason: optional(reason, self::code, ("reason", code))?,
            jti: optional(jti, id, ("jti", "write a UUID"))?,
            request_id: optional(request_id, id, ("request_id", "write a UUID"))?,
        };
        Ok(Self { query: EventQuery { filter, order, after, limit }, limit })
    }
}

impl Cursor {
    /// Encodes the order and the three parts of the position, each in a fixed number of bytes.
    pub fn to_text(self) -> String {
        let Self { order, position: EventPosition { at_us, writer, seq } } = self;
        let order = match order {
            EventOrder::NewestFirst => 0_u8,
            EventOrder::OldestFirst => 1,
        };
        let mut bytes = vec![order];
        bytes.extend(at_us.to_be_bytes());
        bytes.extend(writer.as_bytes());
        bytes.extend(seq.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (order, bytes) = bytes.split_first()?;
        let (at_us, bytes) = bytes.split_first_chunk()?;
        let (writer, bytes) = bytes.split_first_chunk()?;
        let seq = bytes.try_into().ok()?;
        let order = match order {
            0 => EventOrder::NewestFirst,
            1 => EventOrder::OldestFirst,
            _ => return None,
        };
        let position = EventPosition {
            at_us: i64::from_be_bytes(*at_us),
            writer: Uuid::from_bytes(*writer),
            seq: i64::from_be_bytes(seq),
        };
        Some(Self { order, position })
    }
}

/// Parses a value, if there is one.
fn optional<T>(
    value: Option<String>,
    parse: impl FnOnce(&str) -> Option<T>,
    wrong: Wrong,
) -> Result<Option<T>, Wrong> {
    value.map(|value| parse(&value).ok_or(wrong)).transpose()
}

fn time(text: &str) -> Option<i64> {
    Timestamp::parse(text).ok().map(Timestamp::unix_microseconds)
}

fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

fn text(text: &str) -> Option<String> {
    let is_text = (1..=MAX_TEXT).contains(&text.chars().count()) && !text.contains(char::is_control);
    is_text.then(|| text.to_owned())
}

fn code(text: &str) -> Option<String> {
    let is_code = (1..=64).contains(&text.len()) && is_lower_case(text);
    is_code.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::refusal::Reason;

    fn wrong(query: &str) -> Option<String> {
        let refused = AuditQuery::parse(query, &[]).unwrap_err();
        assert_eq!(refused.refusal.reason, Reason::BadRequest);
        refused.for_program.unwrap().parameter
    }

    #[rstest]
    #[case("since=yesterday", "since")]
    #[case("until=", "until")]
    #[case("since=1d&since=1d", "since")]
    #[case("subject=", "subject")]
    #[case("subject=a%00b", "subject")]
    #[case("entrance=a%0Ab", "entrance")]
    #[case("outcome=Refused", "outcome")]
    #[case("reason=a-b", "reason")]
    #[case("jti=x", "jti")]
    #[case("request_id=", "request_id")]
    #[case("order=asc", "order")]
    #[case("limit=0", "limit")]
    #[case("limit=1001", "limit")]
    #[case("limit=%2B5", "limit")]
    #[case("limit=", "limit")]
    #[case("cursor=", "cursor")]
    #[case("cursor=AAAA", "cursor")]
    #[case("limi=5", "limi")]
    fn an_invalid_parameter_is_named(#[case] query: &str, #[case] name: &str) {
        assert_eq!(wrong(query).as_deref(), Some(name));
    }

    #[test]
    fn an_unknown_name_is_not_repeated_where_it_may_be_a_secret() {
        assert_eq!(wrong("mkt_0123456789abcdef=1"), None);
        assert_eq!(wrong("%3Cb%3E=1"), None);
    }

    #[test]
    fn a_cursor_continues_its_own_order() {
        let position = EventPosition { at_us: -5, writer: Uuid::from_u128(7), seq: i64::MAX };
        for (order, name, other) in
            [(EventOrder::NewestFirst, "newest", "oldest"), (EventOrder::OldestFirst, "oldest", "newest")]
        {
            let text = Cursor { order, position }.to_text();
            let parsed = AuditQuery::parse(&format!("cursor={text}&order={name}"), &[]).unwrap().query;
            assert_eq!((parsed.order, parsed.after), (order, Some(position)));
            assert_eq!(wrong(&format!("cursor={text}&order={other}")).as_deref(), Some("cursor"));
            assert_eq!(wrong(&format!("cursor={text}A&order={name}")).as_deref(), Some("cursor"));
        }
    }

    #[test]
    fn without_parameters_the_newest_events_are_meant() {
        let AuditQuery { query, limit } = AuditQuery::parse("", &[]).unwrap();
        assert_eq!((query.order, query.after, limit), (EventOrder::NewestFirst, None, 100));
        assert_eq!(query.filter, EventFilter::default());
    }
}
