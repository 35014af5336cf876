//! Texts that describe what is unusual.

use serde::Serialize;

use super::view::{UtcTime, query};
use crate::audit::unusual::Unusual;

/// What is unusual, what it can mean, and where to look.
#[derive(Serialize)]
pub(super) struct UnusualNotice {
    title: String,
    text: String,
    /// The URL of the events, if a filter can select them.
    href: Option<String>,
}

impl UnusualNotice {
    pub fn of(unusual: Unusual) -> Self {
        let events = |fields: &[(&str, &str)]| Some(format!("/dashboard/events?{}", query(fields)));
        match unusual {
            Unusual::ManyPeers(found) => Self {
                title: format!("One subject from {} peers within an hour", found.peers),
                text: format!(
                    "{} requests of {}. A shared login or a stolen session can be the cause, and so can a proxy with \
                     several addresses: a peer is the address of the connection.",
                    found.events, found.subject
                ),
                href: events(&[("subject", &found.subject)]),
            },
            Unusual::RefusalBurst { refusals, usual, reason } => Self {
                title: format!("{refusals} refusals in the last ten minutes"),
                text: format!(
                    "The average of ten minutes was {usual} on the day before. Most often: {reason}. A change of the \
                     login, the proxy or the configuration is the usual cause; else a client that tries out values."
                ),
                href: events(&[("outcome", "refused"), ("reason", &reason)]),
            },
            Unusual::FirstUse { entrance, at } => Self {
                title: format!("First hand-off at the entrance {entrance}"),
                text: format!(
                    "At {} UTC; no earlier one is stored. Expected after the entrance or the store was set up.",
                    UtcTime::of(at).text
                ),
                href: events(&[("entrance", &entrance)]),
            },
            Unusual::ClockSkew { entrance, refusals } => Self {
                title: format!("{refusals} tokens refused for their times within an hour"),
                text: format!(
                    "At {}: exp has passed, or iat or nbf is in the future. Compare the clock of this machine with that \
                     of the issuer; tokens that are used late are the other cause.",
                    entrance
                        .as_deref()
                        .map_or_else(|| "no entrance".to_owned(), |name| format!("the entrance {name}"))
                ),
                href: entrance
                    .and_then(|entrance| events(&[("outcome", "refused"), ("entrance", &entrance)])),
            },
        }
    }
}
