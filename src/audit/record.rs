//! The stored form of an audit event: owned values, each of bounded length.

use serde_json::{Value, json};
use smol_str::ToSmolStr as _;
use uuid::Uuid;

use super::{AuditEvent, Labels};
use crate::clock::Timestamp;
use crate::pandium::Environment;
use crate::store::events::{Event, Personal, Text};

/// The fields of the stored form of an event that its line in the log does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordDetails<'a> {
    /// The subject, in the form that `audit.subject` selects.
    pub subject: Option<&'a str>,
    /// Pandium's account.
    pub account: Option<&'a str>,
    /// The kind of the authenticator.
    pub identity_kind: Option<&'static str>,
    /// The issuer of the credentials.
    pub issuer: Option<&'a str>,
    /// The id of the key that verified them.
    pub key_id: Option<&'a str>,
    /// `User-Agent`, as received.
    pub user_agent: Option<&'a [u8]>,
    /// The link parameters that are passed on.
    pub link: Option<&'a str>,
}

/// Operations on the service itself, or on stored data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A process that writes events has started. Its first event.
    Started,
    /// The process has stopped.
    Stopped,
    /// Another configuration is in use.
    Reloaded,
    /// Another key signs or seals.
    KeyRotated,
    /// An API token was created.
    TokenCreated,
    /// An API token was revoked.
    TokenRevoked,
    /// Events were deleted because of their age.
    Purged,
    /// The personal data of a person was erased.
    Forgotten,
}

/// The maximum length of a user agent, in bytes.
const MAX_USER_AGENT: usize = 256;

/// The maximum length of any other text, in bytes.
const MAX_TEXT: usize = 4096;

impl Operation {
    /// The outcome of its event.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Reloaded => "reloaded",
            Self::KeyRotated => "key_rotated",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::Purged => "purged",
            Self::Forgotten => "forgotten",
        }
    }

    /// Its event. `data`: an object with the fields that only this operation has.
    pub(super) fn event(self, at: Timestamp, data: &Value) -> Event {
        Event {
            at_us: at.unix_microseconds(),
            outcome: Text::new_static(self.code()),
            data: (!data.is_null()).then(|| data.to_smolstr()),
            ..Event::default()
        }
    }
}

/// The stored form of the event of a request.
pub(super) fn of_request(event: &AuditEvent<'_>, details: &RecordDetails<'_>) -> Event {
    let labels = Labels::of(event);
    Event {
        at_us: event.at.unix_microseconds(),
        outcome: Text::new_static(labels.outcome),
        request_id: Some(event.request_id),
        entrance: event.entrance.map(text),
        environment: event.environment.map(Environment::name).map(Text::new_static),
        account: details.account.map(text),
        reason: labels.reason.map(Text::new_static),
        detail: labels.detail.map(text),
        jti: labels.jti,
        identity_kind: details.identity_kind.map(Text::new_static),
        issuer: details.issuer.map(text),
        key_id: details.key_id.map(text),
        fetch_dest: Some(Text::new_static(event.fetch_dest.name())),
        embed_violation: event.embed_violation.map(text),
        link: details.link.filter(|link| !link.is_empty()).map(text),
        took_us: i64::try_from(event.took_us).ok(),
        data: data(event.api_token, event.instance_id),
        personal: Personal {
            subject: details.subject.map(text),
            peer: Some(event.peer.to_smolstr()),
            user_agent: details.user_agent.map(user_agent),
        },
    }
}

fn data(api_token: Option<&str>, instance_id: Option<Uuid>) -> Option<Text> {
    let data = match (api_token, instance_id) {
        (None, None) => return None,
        (Some(name), None) => json!({"api_token": name}),
        (None, Some(id)) => json!({"instance_id": id}),
        (Some(name), Some(id)) => json!({"api_token": name, "instance_id": id}),
    };
    Some(text(&data.to_string()))
}

/// The user agent, truncated, and without bytes that are not UTF-8.
fn user_agent(bytes: &[u8]) -> Text {
    let text = String::from_utf8_lossy(bytes.get(..MAX_USER_AGENT).unwrap_or(bytes));
    bounded(&text, MAX_USER_AGENT)
}

fn text(text: &str) -> Text {
    bounded(text, MAX_TEXT)
}

/// A text that is truncated at the end of a character. NUL is removed: PostgreSQL's texts cannot
/// contain it.
fn bounded(text: &str, max: usize) -> Text {
    let kept = text.get(..text.floor_char_boundary(max)).unwrap_or(text);
    if kept.contains('\0') { Text::from(kept.replace('\0', "\u{fffd}")) } else { Text::new(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_cut_at_the_end_of_a_character() {
        assert_eq!(user_agent(b"curl/8"), "curl/8");
        assert_eq!(user_agent(&[b'a'; 1000]), "a".repeat(MAX_USER_AGENT));
        assert_eq!(user_agent("\u{e4}".repeat(200).as_bytes()), "\u{e4}".repeat(MAX_USER_AGENT / 2));
        assert!(user_agent(&[0xff; 300]).len() <= MAX_USER_AGENT);
        assert_eq!(user_agent(b"a\0b"), "a\u{fffd}b");
    }
}
