//! The record: exactly one structured line for every hand-off, every user told
//! to an API, and every refusal. It never holds a token, an address, a query or a header's value.

use std::io::Write as _;

use serde::{Serialize, Serializer};
use siphasher::sip128::SipHasher24;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::log_writer::LogWriter;
use crate::pandium::Environment;
use crate::refusal::Refusal;
use crate::request::Peer;
use crate::secret::SharedSecret;

/// Writes the record.
#[derive(Clone)]
pub struct Recorder {
    lines: LogWriter,
    format: Format,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What is recorded of one request.
#[derive(Debug)]
pub struct AuditEvent<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: Uuid,
    /// The entrance's name; none where the request met none.
    pub entrance: Option<&'a str>,
    /// Where the entrance leads.
    pub environment: Option<Environment>,
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// Who it was, as `log.subject` says.
    pub subject: Option<String>,
    /// Who was at the other end of the socket.
    pub peer: Peer,
    /// Where the answer will be shown.
    pub fetch_dest: FetchDestination,
    /// A frame that was served though the rules object to it: why they do.
    pub embed_violation: Option<&'a str>,
    /// How long it took to decide, in microseconds.
    pub took_us: u64,
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The user was sent on with this token.
    HandedOff {
        /// The token's id.
        jti: Uuid,
    },
    /// An API was told who the user is.
    Verified,
    /// Nobody was sent anywhere.
    Refused(&'a Refusal),
}

/// How the record names a subject.
#[derive(Clone)]
pub enum SubjectLog {
    /// Not at all.
    None,
    /// By a keyed hash: the same user has the same hash, and nobody without
    /// the shared secret can try out who it may be.
    Hashed(SubjectHash),
    /// As it is.
    Plain,
}

/// A key for hashing subjects.
#[derive(Clone)]
pub struct SubjectHash(SipHasher24);

impl SubjectLog {
    /// How a subject is written.
    pub fn write(&self, subject: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Hashed(hash) => Some(hash.of(subject)),
            Self::Plain => Some(subject.to_owned()),
        }
    }
}

impl SubjectHash {
    /// A key that follows from the shared secret: stable across restarts.
    pub fn keyed_by(secret: &SharedSecret) -> Self {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.expose_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, b"marketplace-sso log.subject 1");
        let mut half = [0; 16];
        half.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Self(SipHasher24::new_with_key(&half))
    }

    fn of(&self, subject: &str) -> String {
        let hash = self.0.hash(subject.as_bytes()).as_u128();
        Uuid::from_u128(hash).simple().encode_lower(&mut Uuid::encode_buffer()).to_owned()
    }
}

impl std::fmt::Debug for SubjectLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Hashed(_) => "Hashed",
            Self::Plain => "Plain",
        })
    }
}

impl Recorder {
    /// A recorder to these lines.
    pub const fn new(lines: LogWriter, format: Format) -> Self {
        Self { lines, format }
    }

    /// Records an entry.
    pub fn record(&self, entry: &AuditEvent<'_>) {
        let mut line = Vec::with_capacity(512);
        match self.format {
            Format::Json => write_json(entry, &mut line),
            Format::Text => write_text(entry, &mut line),
        }
        line.push(b'\n');
        self.lines.add(&line);
    }
}

/// The line as JSON; its fields are the record's public face.
#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: Rfc3339Utc,
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
    subject: Option<&'a str>,
    peer: Peer,
    fetch_dest: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_violation: Option<&'a str>,
    took_us: u64,
}

fn write_json(entry: &AuditEvent<'_>, line: &mut Vec<u8>) {
    let labels = Labels::of(entry);
    let json = JsonLine {
        timestamp: Rfc3339Utc(entry.at),
        level: labels.level,
        message: labels.message,
        request_id: entry.request_id,
        entrance: entry.entrance,
        environment: entry.environment.map(Environment::name),
        outcome: labels.outcome,
        reason: labels.reason,
        detail: labels.detail,
        jti: labels.jti,
        subject: entry.subject.as_deref(),
        peer: entry.peer,
        fetch_dest: entry.fetch_dest.name(),
        embed_violation: entry.embed_violation,
        took_us: entry.took_us,
    };
    // writing to a Vec cannot fail
    let _ = serde_json::to_writer(line, &json);
}

fn write_text(entry: &AuditEvent<'_>, line: &mut Vec<u8>) {
    let labels = Labels::of(entry);
    let at = entry.at.to_utc().format(&Rfc3339).unwrap_or_default();
    let mut text = format!("{at} {:>5} {}", labels.level, labels.message);
    let mut field = |name: &str, value: Option<&dyn std::fmt::Display>| {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value}"));
        }
    };
    field("reason", labels.reason.as_ref().map(|reason| reason as _));
    let detail = labels.detail.map(|detail| format!("{detail:?}"));
    field("detail", detail.as_ref().map(|detail| detail as _));
    field("entrance", entry.entrance.as_ref().map(|entrance| entrance as _));
    field("environment", entry.environment.as_ref().map(|environment| environment as _));
    field("jti", labels.jti.as_ref().map(|jti| jti as _));
    let subject = entry.subject.as_ref().map(|subject| format!("{subject:?}"));
    field("subject", subject.as_ref().map(|subject| subject as _));
    field("peer", Some(&entry.peer));
    field("fetch_dest", Some(&entry.fetch_dest.name()));
    let violation = entry.embed_violation.map(|violation| format!("{violation:?}"));
    field("embed_violation", violation.as_ref().map(|violation| violation as _));
    field("request_id", Some(&entry.request_id));
    field("took_us", Some(&entry.took_us));
    // writing to a Vec cannot fail
    let _ = line.write_all(text.as_bytes());
}

/// What an outcome is called.
struct Labels<'a> {
    level: &'static str,
    message: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    detail: Option<&'a str>,
    jti: Option<Uuid>,
}

impl<'a> Labels<'a> {
    const fn of(entry: &AuditEvent<'a>) -> Self {
        match entry.outcome {
            Outcome::HandedOff { jti } => Self {
                level: "INFO",
                message: "handed a user off",
                outcome: "handed_off",
                reason: None,
                detail: None,
                jti: Some(jti),
            },
            Outcome::Verified => Self {
                level: "INFO",
                message: "told an API who the user is",
                outcome: "verified",
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

/// RFC 3339 in UTC with microseconds.
struct Rfc3339Utc(Timestamp);

impl Serialize for Rfc3339Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let utc = self.0.to_utc();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        put(&mut text, 0, 4, u32::try_from(utc.year()).unwrap_or_default());
        put(&mut text, 5, 2, u32::from(u8::from(utc.month())));
        put(&mut text, 8, 2, u32::from(utc.day()));
        put(&mut text, 11, 2, u32::from(utc.hour()));
        put(&mut text, 14, 2, u32::from(utc.minute()));
        put(&mut text, 17, 2, u32::from(utc.second()));
        put(&mut text, 20, 6, self.0.microseconds());
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Writes a number with leading zeros into its place.
fn put(text: &mut [u8], start: usize, digits: usize, mut number: u32) {
    for place in text.iter_mut().skip(start).take(digits).rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn entry<'a>(outcome: Outcome<'a>) -> AuditEvent<'a> {
        AuditEvent {
            at: Timestamp::from_unix_seconds(1_621_521_641),
            request_id: Uuid::nil(),
            entrance: Some("pandium-sso"),
            environment: Some(Environment::Sandbox),
            outcome,
            subject: Some("a\"b".into()),
            peer: Peer::from_ip([127, 0, 0, 1].into()),
            fetch_dest: FetchDestination::Frame,
            embed_violation: None,
            took_us: 7,
        }
    }

    #[test]
    fn a_hand_off_is_one_line_of_json() {
        let mut line = Vec::new();
        write_json(&entry(Outcome::HandedOff { jti: Uuid::nil() }), &mut line);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"timestamp":"2021-05-20T14:40:41.000000Z","level":"INFO","message":"handed a user off","request_id":"00000000-0000-0000-0000-000000000000","entrance":"pandium-sso","environment":"sandbox","outcome":"handed_off","jti":"00000000-0000-0000-0000-000000000000","subject":"a\"b","peer":"127.0.0.1","fetch_dest":"iframe","took_us":7}"#);
    }

    #[test]
    fn a_refusal_is_one_line_for_people() {
        let mut line = Vec::new();
        write_text(&entry(Outcome::Refused(&Reason::BadLink.because("it is bad"))), &mut line);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"2021-05-20T14:40:41Z  WARN refused a request reason=bad_link detail="it is bad" entrance=pandium-sso environment=sandbox subject="a\"b" peer=127.0.0.1 fetch_dest=iframe request_id=00000000-0000-0000-0000-000000000000 took_us=7"#);
    }

    #[test]
    fn a_subject_has_one_hash_for_each_secret() {
        let secret = |text: &str| SubjectHash::keyed_by(&SharedSecret::parse(text).unwrap());
        let (one, other) = (secret(&"a".repeat(32)), secret(&"b".repeat(32)));
        assert_eq!(one.of("alice@example.com"), one.of("alice@example.com"));
        assert_ne!(one.of("alice@example.com"), one.of("bob@example.com"));
        assert_ne!(one.of("alice@example.com"), other.of("alice@example.com"));
    }
}
