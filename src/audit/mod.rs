//! The audit: exactly one event for each hand-off, each verification for an API, and each refusal,
//! as a line of the log and, if configured, as a row of the store. It never contains a
//! token, a URL, a query or a header value, except the user agent in the store.

mod chain;
mod export;
mod forget;
mod journal;
mod pseudonym;
mod purge;
mod record;
mod recorder;
mod settings;
mod status;
pub mod unusual;
mod verify;
mod witnessed;
mod writer;

use std::io::Write as _;
use std::num::NonZeroU8;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use time::format_description::well_known::{Iso8601, iso8601};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::log_writer::LogWriter;
use crate::pandium::Environment;
use crate::refusal::Refusal;
use crate::request::Peer;

pub use chain::ChainKey;
pub use export::{CSV_FIELDS, JsonEvent, timestamp};
pub use forget::forget;
pub use journal::AuditUnavailable;
pub use pseudonym::{PseudonymKey, SubjectForms, SubjectLog, SubjectNames};
pub use purge::purge;
pub use record::{Operation, RecordDetails};
pub use recorder::{Audit, AuditHealth};
pub use settings::{AuditSettings, Durability, OnFailure, subject_forms};
pub use verify::{Break, ChainFinding, Summary, verify};
pub use witnessed::to_hex;
pub use writer::ChainWriter;

/// Serializes audit events and writes them as lines.
#[derive(Clone)]
pub struct AuditLog {
    lines: LogWriter,
    format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Human-readable text.
    Text,
}

/// The audit event of one request.
#[derive(Debug)]
pub struct AuditEvent<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: Uuid,
    /// The entrance's name, if the request reached one.
    pub entrance: Option<&'a str>,
    /// The Pandium environment of the entrance.
    pub environment: Option<Environment>,
    /// The outcome.
    pub outcome: Outcome<'a>,
    /// The subject in the form that `log.subject` selects.
    pub subject: Option<&'a str>,
    /// The peer of the connection.
    pub peer: Peer,
    /// What the response is for.
    pub fetch_dest: FetchDestination,
    /// The name of the API token with which a server requested the hand-off.
    pub api_token: Option<&'a str>,
    /// The extension instance that a program or a verified webhook names.
    pub instance_id: Option<Uuid>,
    /// Why the request violates the embed policy, if it was served nevertheless.
    pub embed_violation: Option<&'a str>,
    /// Time to decide, in microseconds.
    pub took_us: u64,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The user was handed off with this token.
    HandedOff {
        /// The token's id.
        jti: Uuid,
    },
    /// A single-use address was created for the user.
    LinkCreated,
    /// The user was reported to an API.
    Verified,
    /// The user signed in at the provider of the entrance.
    SignedIn,
    /// The user signed out.
    SignedOut,
    /// The provider ended sessions of the user.
    SessionsEnded,
    /// A webhook or a program was about an extension instance.
    Instance(InstanceEvent),
    /// The request was refused.
    Refused(&'a Refusal),
}

/// What happened to an extension instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceEvent {
    /// It was installed.
    Added,
    /// Its scopes, its state or its variant were changed.
    Updated,
    /// Its secret was replaced.
    SecretRotated,
    /// It was removed.
    Removed,
    /// A webhook was received after a newer one, and changed nothing.
    Ignored,
    /// A webhook was a dry run, and changed nothing.
    DryRun,
    /// An access token of it was issued to a program.
    AccessTokenIssued,
}

impl InstanceEvent {
    /// The outcome of its event.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Added => "instance_added",
            Self::Updated => "instance_updated",
            Self::SecretRotated => "secret_rotated",
            Self::Removed => "instance_removed",
            Self::Ignored => "webhook_ignored",
            Self::DryRun => "webhook_dry_run",
            Self::AccessTokenIssued => "access_token_issued",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Added => "an extension instance was added",
            Self::Updated => "an extension instance was changed",
            Self::SecretRotated => "the secret of an extension instance was replaced",
            Self::Removed => "an extension instance was removed",
            Self::Ignored => "a webhook came after a newer one",
            Self::DryRun => "a webhook was a dry run",
            Self::AccessTokenIssued => "issued an access token of an extension instance to a program",
        }
    }
}

impl AuditLog {
    /// Creates an audit log.
    pub const fn new(lines: LogWriter, format: LogFormat) -> Self {
        Self { lines, format }
    }

    /// Writes an event.
    pub fn write(&self, event: &AuditEvent<'_>) {
        let mut line = Vec::with_capacity(512);
        match self.format {
            LogFormat::Json => write_json(event, &mut line),
            LogFormat::Text => write_text(event, &mut line),
        }
        line.push(b'\n');
        self.lines.add(&line);
    }
}

/// An event as JSON. The field names are a public interface.
#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: LineTime,
    level: &'static str,
    message: &'static str,
    request_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'static str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    peer: Peer,
    fetch_dest: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_violation: Option<&'a str>,
    took_us: u64,
}

fn write_json(event: &AuditEvent<'_>, line: &mut Vec<u8>) {
    let labels = Labels::of(event);
    let json = JsonLine {
        timestamp: LineTime(event.at),
        level: labels.level,
        message: labels.message,
        request_id: event.request_id,
        entrance: event.entrance,
        environment: event.environment.map(Environment::name),
        outcome: labels.outcome,
        reason: labels.reason,
        detail: labels.detail,
        jti: labels.jti,
        instance_id: event.instance_id,
        subject: event.subject,
        peer: event.peer,
        fetch_dest: event.fetch_dest.name(),
        api_token: event.api_token,
        embed_violation: event.embed_violation,
        took_us: event.took_us,
    };
    // writing to a Vec cannot fail
    let _ = serde_json::to_writer(line, &json);
}

fn write_text(event: &AuditEvent<'_>, line: &mut Vec<u8>) {
    let labels = Labels::of(event);
    let at = event.at.to_utc().format(&TIMESTAMP_FORMAT).unwrap_or_default();
    let mut text = format!("{at} {:>5} {}", labels.level, labels.message);
    let mut field = |name: &str, value: Option<&dyn std::fmt::Display>| {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value}"));
        }
    };
    field("reason", labels.reason.as_ref().map(|reason| reason as _));
    let detail = labels.detail.map(|detail| format!("{detail:?}"));
    field("detail", detail.as_ref().map(|detail| detail as _));
    field("entrance", event.entrance.as_ref().map(|entrance| entrance as _));
    field("environment", event.environment.as_ref().map(|environment| environment as _));
    field("jti", labels.jti.as_ref().map(|jti| jti as _));
    field("instance_id", event.instance_id.as_ref().map(|id| id as _));
    let subject = event.subject.as_ref().map(|subject| format!("{subject:?}"));
    field("subject", subject.as_ref().map(|subject| subject as _));
    field("peer", Some(&event.peer));
    field("fetch_dest", Some(&event.fetch_dest.name()));
    let api_token = event.api_token.map(|name| format!("{name:?}"));
    field("api_token", api_token.as_ref().map(|name| name as _));
    let violation = event.embed_violation.map(|violation| format!("{violation:?}"));
    field("embed_violation", violation.as_ref().map(|violation| violation as _));
    field("request_id", Some(&event.request_id));
    field("took_us", Some(&event.took_us));
    // writing to a Vec cannot fail
    let _ = line.write_all(text.as_bytes());
}

/// The fields that depend on the outcome.
struct Labels<'a> {
    level: &'static str,
    message: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    detail: Option<&'a str>,
    jti: Option<Uuid>,
}

impl<'a> Labels<'a> {
    const fn of(event: &AuditEvent<'a>) -> Self {
        match event.outcome {
            Outcome::HandedOff { jti } => Self {
                level: "INFO",
                message: "handed a user off",
                outcome: "handed_off",
                reason: None,
                detail: None,
                jti: Some(jti),
            },
            Outcome::LinkCreated => Self {
                level: "INFO",
                message: "created a single-use address for a user",
                outcome: "link_created",
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::Verified => Self {
                level: "INFO",
                message: "verified a user for an API",
                outcome: "verified",
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::Instance(event) => Self {
                level: "INFO",
                message: event.message(),
                outcome: event.code(),
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::SignedIn => Self {
                level: "INFO",
                message: "signed a user in",
                outcome: "signed_in",
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::SignedOut => Self {
                level: "INFO",
                message: "signed a user out",
                outcome: "signed_out",
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::SessionsEnded => Self {
                level: "INFO",
                message: "ended sessions of a user at the provider's request",
                outcome: "sessions_ended",
                reason: None,
                detail: None,
                jti: None,
            },
            Outcome::Refused(refusal) => Self {
                level: "WARN",
                message: "refused a request",
                outcome: "refused",
                reason: Some(refusal.reason.code()),
                detail: Some(match &refusal.cause {
                    std::borrow::Cow::Borrowed(cause) => cause,
                    std::borrow::Cow::Owned(cause) => cause.as_str(),
                }),
                jti: None,
            },
        }
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The time of a line, in [`TIMESTAMP_FORMAT`].
struct LineTime(Timestamp);

impl Serialize for LineTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; TIMESTAMP_BYTES];
        self.0.to_utc().format_into(&mut text.as_mut_slice(), &TIMESTAMP_FORMAT).map_err(S::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(&text).map_err(S::Error::custom)?)
    }
}

/// RFC 3339 in UTC, always with six digits of the second's fraction, as `tracing_subscriber` writes
/// it. `Iso8601` is configured at compile time; a `format_description!` would be interpreted, and
/// make a line 12 % slower.
const TIMESTAMP_FORMAT: Iso8601<{ TIMESTAMP_CONFIG }> = Iso8601;
const TIMESTAMP_CONFIG: iso8601::EncodedConfig = iso8601::Config::DEFAULT
    .set_time_precision(iso8601::TimePrecision::Second { decimal_digits: NonZeroU8::new(6) })
    .encode();

/// The length of `2021-05-20T14:40:41.000000Z`.
const TIMESTAMP_BYTES: usize = 27;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::refusal::Reason;

    fn event<'a>(outcome: Outcome<'a>) -> AuditEvent<'a> {
        AuditEvent {
            at: Timestamp::from_unix_seconds(1_621_521_641).later_by(Duration::from_nanos(12_345_999)),
            request_id: Uuid::nil(),
            entrance: Some("pandium-sso"),
            environment: Some(Environment::Sandbox),
            outcome,
            subject: Some("a\"b"),
            peer: Peer::from_ip([127, 0, 0, 1].into()),
            fetch_dest: FetchDestination::Frame,
            api_token: None,
            instance_id: None,
            embed_violation: None,
            took_us: 7,
        }
    }

    #[test]
    fn a_hand_off_is_one_json_line() {
        let mut line = Vec::new();
        write_json(&event(Outcome::HandedOff { jti: Uuid::nil() }), &mut line);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"timestamp":"2021-05-20T14:40:41.012345Z","level":"INFO","message":"handed a user off","request_id":"00000000-0000-0000-0000-000000000000","entrance":"pandium-sso","environment":"sandbox","outcome":"handed_off","jti":"00000000-0000-0000-0000-000000000000","subject":"a\"b","peer":"127.0.0.1","fetch_dest":"iframe","took_us":7}"#);
    }

    #[test]
    fn a_refusal_is_one_text_line() {
        let mut line = Vec::new();
        write_text(&event(Outcome::Refused(&Reason::BadLink.because("it is bad"))), &mut line);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"2021-05-20T14:40:41.012345Z  WARN refused a request reason=bad_link detail="it is bad" entrance=pandium-sso environment=sandbox subject="a\"b" peer=127.0.0.1 fetch_dest=iframe request_id=00000000-0000-0000-0000-000000000000 took_us=7"#);
    }
}
