//! What a handler did at an entrance, for the audit event and the metrics.

use std::sync::Arc;

use super::EntranceRuntime;
use crate::audit::Outcome;
use crate::embed::FetchDestination;
use crate::refusal::Refusal;

/// What a handler did at an entrance. A response without it is counted as one
/// outside of entrances.
pub(super) struct ServedRequest {
    pub runtime: Arc<EntranceRuntime>,
    /// For the audit event; `None` if nothing about a user was decided.
    pub outcome: Option<Outcome<'static>>,
    /// The user, as audit events name users.
    pub subject: Option<String>,
    pub fetch_dest: FetchDestination,
    /// What the embed policy objects to in a request that is served all the same.
    pub embed_violation: Option<Refusal>,
    /// The length of the signed URL.
    pub url_bytes: usize,
}

impl ServedRequest {
    /// Nothing was decided about a user.
    pub const fn at(runtime: Arc<EntranceRuntime>) -> Self {
        Self {
            runtime,
            outcome: None,
            subject: None,
            fetch_dest: FetchDestination::Unknown,
            embed_violation: None,
            url_bytes: 0,
        }
    }
}
