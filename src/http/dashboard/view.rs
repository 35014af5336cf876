//! Parts of several pages: times, ages, events, and the advice for a reason.

use serde::Serialize;
use time::macros::format_description;
use url::form_urlencoded;

use crate::clock::Timestamp;
use crate::refusal::Reason;
use crate::store::events::StoredEvent;

/// A time in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct UtcTime {
    /// For the attribute `datetime`.
    pub machine: String,
    /// For readers.
    pub text: String,
}

/// An event in a list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EventRow {
    pub at: UtcTime,
    pub outcome: String,
    /// The label of the outcome.
    pub label: String,
    /// The class of its mark: `good`, `bad` or `plain`.
    pub tone: &'static str,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub entrance: Option<String>,
    pub subject: Option<String>,
    /// The query that finds the subject's events.
    pub subject_query: Option<String>,
    pub peer: Option<String>,
    pub request_id: Option<String>,
}

/// A part of a text with inline Markdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Span<'a> {
    /// Plain text.
    Text { text: &'a str },
    /// Code.
    Code { text: &'a str },
    /// The text of a link, and the document that it leads to.
    Link { text: &'a str, document: String },
}

impl UtcTime {
    pub fn of(at: Timestamp) -> Self {
        let (date, machine) = (
            format_description!("[year]-[month]-[day] [hour]:[minute]:[second]"),
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"),
        );
        let at = at.to_utc();
        // cannot fail: these formats use only parts that a date and time has
        Self { machine: at.format(machine).unwrap_or_default(), text: at.format(date).unwrap_or_default() }
    }

    pub fn of_microseconds(at_us: i64) -> Self {
        Self::of(Timestamp::from_unix_microseconds(at_us))
    }
}

impl EventRow {
    pub fn of(stored: &StoredEvent) -> Self {
        let event = &stored.event;
        let text = |text: &Option<crate::store::events::Text>| text.as_deref().map(str::to_owned);
        let subject = text(&event.personal.subject);
        Self {
            at: UtcTime::of_microseconds(event.at_us),
            label: outcome_label(&event.outcome).to_owned(),
            tone: match &*event.outcome {
                "handed_off" | "verified" | "signed_in" => "good",
                "refused" => "bad",
                _ => "plain",
            },
            outcome: event.outcome.to_string(),
            reason: text(&event.reason),
            detail: text(&event.detail),
            entrance: text(&event.entrance),
            subject_query: subject.as_deref().map(|subject| query(&[("subject", subject)])),
            subject,
            peer: text(&event.personal.peer),
            request_id: event.request_id.map(|id| id.to_string()),
        }
    }
}

/// The label of an outcome.
pub(super) fn outcome_label(outcome: &str) -> &str {
    match outcome {
        "handed_off" => "handed off",
        "key_rotated" => "key rotated",
        "signed_in" => "signed in",
        "signed_out" => "signed out",
        "sessions_ended" => "sessions ended",
        "token_created" => "token created",
        "token_revoked" => "token revoked",
        "instance_added" => "instance added",
        "instance_updated" => "instance updated",
        "secret_rotated" => "secret rotated",
        "instance_removed" => "instance removed",
        "webhook_ignored" => "webhook ignored",
        "webhook_dry_run" => "webhook dry run",
        "access_token_issued" => "access token issued",
        other => other,
    }
}

/// The query of a URL with these parameters.
pub(super) fn query(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A duration in its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (1, _, _) => format!("1 day {hours} h"),
        (_, _, _) => format!("{days} days {hours} h"),
    }
}

/// A number with thin spaces between groups of three digits.
pub(super) fn number(number: i64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// The status and the title of a reason's response, for lists of reasons.
pub(super) fn title_of(code: &str) -> Option<&'static str> {
    Reason::of_code(code).map(Reason::title)
}

/// Splits a text with code and links of Markdown. Links become the document's name.
pub(super) fn spans(mut text: &str) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    while let Some(start) = text.find(['`', '[']) {
        let (before, rest) = text.split_at(start);
        let Some((span, after)) = code(rest).or_else(|| link(rest)) else { break };
        if !before.is_empty() {
            spans.push(Span::Text { text: before });
        }
        spans.push(span);
        text = after;
    }
    if !text.is_empty() {
        spans.push(Span::Text { text });
    }
    spans
}

fn code(text: &str) -> Option<(Span<'_>, &str)> {
    let (code, after) = text.strip_prefix('`')?.split_once('`')?;
    Some((Span::Code { text: code }, after))
}

fn link(text: &str) -> Option<(Span<'_>, &str)> {
    let (label, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, after) = rest.split_once(')')?;
    Some((Span::Link { text: label, document: format!("docs/{target}") }, after))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 s")]
    #[case(59, "59 s")]
    #[case(61, "1 min")]
    #[case(3600 * 5 + 60, "5 h 1 min")]
    #[case(86_400, "1 day 0 h")]
    #[case(86_400 * 9 + 7200, "9 days 2 h")]
    fn a_duration_has_two_units(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(duration(seconds), expected);
    }

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1000, "1\u{202f}000")]
    #[case(1_234_567, "1\u{202f}234\u{202f}567")]
    fn digits_are_grouped(#[case] value: i64, #[case] expected: &str) {
        assert_eq!(number(value), expected);
    }

    #[test]
    fn code_and_links_are_split() {
        let text = "read `detail`; see [Sizes](operating.md#sizes) or [tokens](tokens.md). [x] `";
        let document = |text: &str| text.to_owned();
        let expected = [
            Span::Text { text: "read " },
            Span::Code { text: "detail" },
            Span::Text { text: "; see " },
            Span::Link { text: "Sizes", document: document("docs/operating.md#sizes") },
            Span::Text { text: " or " },
            Span::Link { text: "tokens", document: document("docs/tokens.md") },
            Span::Text { text: ". [x] `" },
        ];
        assert_eq!(spans(text), expected);
    }
}
