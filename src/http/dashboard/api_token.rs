//! The API token of a session: the scope that it needs, and refusals as browsers show them.

use super::super::api_auth;
use super::super::context::RequestContext;
use super::super::refused::{Audience, ForProgram, RefusedRequest};
use crate::api_token::Scope;

/// Verifies a token, which needs the scope `audit:read`, and returns its name. A wrong one is counted
/// as a guess.
pub(super) async fn verify(context: &RequestContext, token: &str) -> Result<String, RefusedRequest> {
    match api_auth::authorize_text(context, token, Scope::AuditRead).await {
        Ok(caller) => Ok(caller.token_name),
        Err(refused) => {
            // a form is no credentials by `Authorization`, so there is no challenge
            let members = Some(Box::new(ForProgram::default()));
            Err(RefusedRequest { audience: Audience::Browser, for_program: members, ..refused })
        }
    }
}
