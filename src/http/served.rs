//! What a handler did at an entrance, for the audit event and the metrics.

use std::sync::Arc;

use super::EntranceRuntime;
use crate::audit::Outcome;
use crate::sign_on::EventDetails;

/// What a handler did at an entrance. A response without this is counted as one outside of
/// entrances.
pub(super) struct ServedRequest {
    pub runtime: Arc<EntranceRuntime>,
    /// The outcome for the audit event; `None` if no decision about a user was made.
    pub outcome: Option<Outcome<'static>>,
    pub details: Box<EventDetails>,
    /// The length of the signed URL.
    pub url_bytes: usize,
}

impl ServedRequest {
    /// A response without a decision about a user.
    pub fn at(runtime: Arc<EntranceRuntime>) -> Self {
        Self { runtime, outcome: None, details: Box::default(), url_bytes: 0 }
    }
}
