//! The API token of a session: the scope that it needs, and refusals as pages for browsers.

use super::super::api_auth;
use super::super::context::RequestContext;
use super::super::refused::{ForProgram, Recipient, RefusedRequest};
use crate::api_token::Scope;

/// Verifies a token, which needs the scope `audit:read`, and returns its name. An invalid token is
/// counted as a guess.
pub(super) async fn verify(context: &RequestContext, token: &str) -> Result<String, RefusedRequest> {
    match api_auth::authorize_text(context, token, Scope::AuditRead).await {
        Ok(caller) => Ok(caller.token_name),
        Err(refused) => {
            // the token is not sent in `Authorization`, so there is no challenge
            let members = Some(Box::new(ForProgram::default()));
            Err(RefusedRequest { recipient: Recipient::Browser, for_program: members, ..refused })
        }
    }
}
