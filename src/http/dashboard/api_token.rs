//! Verifies the API token of a session.

use super::super::context::RequestContext;
use crate::refusal::{Reason, Refusal};

/// Verifies a token, which needs the scope `audit:read`, and returns its name.
#[expect(clippy::unused_async, reason = "the store knows the tokens")]
pub(super) async fn verify(context: &RequestContext, token: &str) -> Result<String, Refusal> {
    let _ = (context, token);
    Err(Reason::InvalidToken.because("it is not an API token"))
}
