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
            let retry_after = refused.for_program.as_ref().and_then(|told| told.retry_after);
            // a form is no credentials by `Authorization`, so there is no challenge
            let told = ForProgram { retry_after, ..ForProgram::default() };
            Err(RefusedRequest { audience: Audience::Browser, for_program: Some(Box::new(told)), ..refused })
        }
    }
}
