//! The public form of a stored event: a JSON object, or a record of CSV. The field names are a
//! public interface.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::TIMESTAMP_FORMAT;
use super::witnessed::to_hex;
use crate::clock::Timestamp;
use crate::store::events::StoredEvent;

/// A stored event as JSON.
#[derive(Debug, Serialize)]
pub struct JsonEvent<'a> {
    timestamp: String,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch_dest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_violation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    writer: Uuid,
    seq: i64,
    hash: String,
}

/// The names of the fields of a record of CSV.
pub const CSV_FIELDS: [&str; 24] = [
    "timestamp",
    "outcome",
    "reason",
    "detail",
    "request_id",
    "jti",
    "subject",
    "entrance",
    "environment",
    "account",
    "identity_kind",
    "issuer",
    "key_id",
    "peer",
    "user_agent",
    "fetch_dest",
    "embed_violation",
    "link",
    "took_us",
    "data",
    "erased",
    "writer",
    "seq",
    "hash",
];

impl<'a> JsonEvent<'a> {
    /// The public form of an event.
    pub fn of(stored: &'a StoredEvent) -> Self {
        let event = &stored.event;
        Self {
            timestamp: timestamp(event.at_us),
            outcome: &event.outcome,
            reason: event.reason.as_deref(),
            detail: event.detail.as_deref(),
            request_id: event.request_id,
            jti: event.jti,
            subject: event.personal.subject.as_deref(),
            entrance: event.entrance.as_deref(),
            environment: event.environment.as_deref(),
            account: event.account.as_deref(),
            identity_kind: event.identity_kind.as_deref(),
            issuer: event.issuer.as_deref(),
            key_id: event.key_id.as_deref(),
            peer: event.personal.peer.as_deref(),
            user_agent: event.personal.user_agent.as_deref(),
            fetch_dest: event.fetch_dest.as_deref(),
            embed_violation: event.embed_violation.as_deref(),
            link: event.link.as_deref(),
            took_us: event.took_us,
            data: event.data.as_deref().and_then(|data| serde_json::from_str(data).ok()),
            erased: stored.erasure.is_some(),
            writer: stored.writer,
            seq: stored.seq,
            hash: to_hex(&stored.hash),
        }
    }

    /// A record of CSV (RFC 4180), without its line break.
    pub fn to_csv(&self) -> String {
        let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
        let text = |text: Option<&str>| cell(text.unwrap_or_default());
        [
            self.timestamp.clone(),
            cell(self.outcome),
            text(self.reason),
            text(self.detail),
            id(self.request_id),
            id(self.jti),
            text(self.subject),
            text(self.entrance),
            text(self.environment),
            text(self.account),
            text(self.identity_kind),
            text(self.issuer),
            text(self.key_id),
            text(self.peer),
            text(self.user_agent),
            text(self.fetch_dest),
            text(self.embed_violation),
            text(self.link),
            self.took_us.map_or_else(String::new, |took_us| took_us.to_string()),
            text(self.data.map(RawValue::get)),
            self.erased.to_string(),
            self.writer.to_string(),
            self.seq.to_string(),
            self.hash.clone(),
        ]
        .join(",")
    }
}

/// RFC 3339 in UTC with microseconds, as in the log.
pub fn timestamp(at_us: i64) -> String {
    Timestamp::from_unix_microseconds(at_us).to_utc().format(&TIMESTAMP_FORMAT).unwrap_or_default()
}

/// A cell, quoted where necessary. A spreadsheet would evaluate a text that begins like a
/// formula (<https://owasp.org/www-community/attacks/CSV_Injection>), and clients choose some texts.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("curl/8", "curl/8")]
    #[case("a,b", "\"a,b\"")]
    #[case("say \"x\"", "\"say \"\"x\"\"\"")]
    #[case("=HYPERLINK(1)", "\"'=HYPERLINK(1)\"")]
    #[case("a\nb", "\"a\nb\"")]
    fn a_cell_is_quoted_and_no_formula(#[case] text: &str, #[case] written: &str) {
        assert_eq!(cell(text), written);
    }

    #[test]
    fn json_and_csv_have_the_same_fields() {
        let stored = StoredEvent {
            writer: Uuid::nil(),
            seq: 1,
            event: crate::store::events::Event { outcome: "refused".into(), ..Default::default() },
            salt: None,
            hash: vec![0xab],
            erasure: None,
        };
        let event = JsonEvent::of(&stored);
        insta::assert_snapshot!(serde_json::to_string(&event).unwrap(), @r#"{"timestamp":"1970-01-01T00:00:00.000000Z","outcome":"refused","writer":"00000000-0000-0000-0000-000000000000","seq":1,"hash":"ab"}"#);
        insta::assert_snapshot!(event.to_csv(), @"1970-01-01T00:00:00.000000Z,refused,,,,,,,,,,,,,,,,,,,false,00000000-0000-0000-0000-000000000000,1,ab");
        assert_eq!(event.to_csv().split(',').count(), CSV_FIELDS.len());
    }
}
