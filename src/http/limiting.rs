//! The limits of `[limits]`, applied to requests.

use std::sync::Arc;
use std::time::Duration;

use super::EntranceRuntime;
use super::context::RequestContext;
use super::refused::{Recipient, RefusedRequest};
use crate::refusal::{Reason, Refusal};

/// Refuses a hand-off above the user's limit.
pub(super) fn check_handoff(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    subject: &str,
) -> Result<(), RefusedRequest> {
    let counted = context.snapshot.limits.check_handoff(&runtime.entrance.name, subject);
    counted.map_err(|retry_after| {
        let cause = "the user has had more hand-offs than limits.handoffs_per_subject_per_minute allows";
        let refused = RefusedRequest::at(runtime, Reason::TooManyRequests.because(cause));
        RefusedRequest { retry_after: Some(retry_after), ..refused }
    })
}

/// Counts an invalid ticket or API token. Above the peer's limit, the refusal is a 429. Valid ones
/// are served even above the limit, since other clients may share the address.
pub(super) fn limit_guesses(context: &RequestContext, refused: RefusedRequest) -> RefusedRequest {
    match context.snapshot.limits.check_guess(context.peer) {
        Ok(()) => refused,
        Err(retry_after) => too_many(refused, retry_after, "limits.token_guesses_per_peer_per_minute"),
    }
}

/// Counts a refused request of a browser. Above the peer's limit, the refusal is a 429.
pub(super) fn limit_refusals(context: &RequestContext, refused: RefusedRequest) -> RefusedRequest {
    let is_counted = match refused.recipient {
        Recipient::Browser | Recipient::AnyScript => {
            refused.status().is_client_error() && refused.refusal.reason != Reason::TooManyRequests
        }
        // a proxy that authorizes API requests would treat a 429 as a failure of the service
        Recipient::Api => false,
    };
    if !is_counted || context.snapshot.is_proxy(context.peer) {
        return refused;
    }
    match context.snapshot.limits.check_refusal(context.peer) {
        Ok(()) => refused,
        Err(retry_after) => too_many(refused, retry_after, "limits.refusals_per_peer_per_minute"),
    }
}

fn too_many(refused: RefusedRequest, retry_after: Duration, setting: &'static str) -> RefusedRequest {
    let Refusal { reason, cause } = &refused.refusal;
    let cause =
        format!("the peer is above {setting}; below it the reason would be {}: {cause}", reason.code());
    RefusedRequest {
        refusal: Reason::TooManyRequests.because(cause),
        retry_after: Some(retry_after),
        // a challenge belongs only to a 401
        for_program: None,
        ..refused
    }
}
