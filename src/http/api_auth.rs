//! Authenticates programs by API token: `Authorization: Bearer` (RFC 6750), and nothing else. A
//! token in a query or a cookie is ignored: queries are logged, and browsers add cookies to
//! requests of other sites.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::context::RequestContext;
use super::limiting;
use super::refused::{ForProgram, RefusedRequest};
use crate::api_token::{ApiToken, Scope};
use crate::clock::Timestamp;
use crate::refusal::Reason;
use crate::store::api_tokens::{ApiTokenState, KnownApiToken};

/// The program that sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiCaller {
    /// The name of its token.
    pub token_name: String,
}

/// Why a request has no valid token.
enum AuthError {
    /// It has no credentials.
    NoCredentials,
    /// Its credentials are not a valid token.
    Invalid(Cow<'static, str>),
    /// The tokens cannot be read.
    Unavailable,
}

/// Authenticates a program, and checks that its token has a scope. Invalid tokens are counted as
/// guesses. A valid token is accepted even above the limit, since other programs may share the
/// address.
pub(super) async fn authorize(
    context: &RequestContext,
    request: &HttpRequest,
    scope: Scope,
) -> Result<ApiCaller, RefusedRequest> {
    let text = bearer(request).map_err(|error| error.refused(context))?;
    authorize_text(context, text, scope).await
}

/// Authorizes by the text of a token that was not received in `Authorization`, such as in the login
/// form of the dashboard.
pub(super) async fn authorize_text(
    context: &RequestContext,
    text: &str,
    scope: Scope,
) -> Result<ApiCaller, RefusedRequest> {
    let known = authenticate(context, text).await.map_err(|error| error.refused(context))?;
    let name = known.token.name.as_str();
    if !known.token.scopes.contains(&scope) {
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", scope.name());
        let members = ForProgram { challenge: Some(challenge), scope: Some(scope), ..ForProgram::default() };
        let cause = format!("the API token {name} lacks the scope {}", scope.name());
        return Err(RefusedRequest::for_program(Reason::MissingScope.because(cause), members));
    }
    Ok(ApiCaller { token_name: name.to_owned() })
}

/// Finds a token, and checks that it is valid.
async fn authenticate(context: &RequestContext, text: &str) -> Result<Arc<KnownApiToken>, AuthError> {
    let invalid = |cause: &'static str| AuthError::Invalid(cause.into());
    let token = ApiToken::parse(text).map_err(|_| invalid("the credentials are not an API token"))?;
    let Some(tokens) = &context.shared.api_tokens else {
        return Err(invalid("store.url is not set, so there are no API tokens"));
    };
    let found = tokens.find(&token.id(), context.stopwatch).await.map_err(|_| AuthError::Unavailable)?;
    let known = found.filter(|known| known.token.hash.verifies(&token.hash()));
    let known = known.ok_or_else(|| invalid("there is no such API token"))?;
    let (name, now) = (known.token.name.as_str(), Timestamp::now());
    match known.token.state(now.unix_microseconds()) {
        ApiTokenState::Valid => {}
        ApiTokenState::Expired => {
            return Err(AuthError::Invalid(format!("the API token {name} has expired").into()));
        }
        ApiTokenState::Revoked => {
            return Err(AuthError::Invalid(format!("the API token {name} was revoked").into()));
        }
    }
    tokens.note_use(&known, now);
    Ok(known)
}

/// The credentials of the scheme `Bearer`, whose name is case-insensitive (RFC 9110, 11.1).
fn bearer(request: &HttpRequest) -> Result<&str, AuthError> {
    let mut fields = request.headers().get_all(AUTHORIZATION);
    let field = fields.next();
    if fields.next().is_some() {
        return Err(AuthError::Invalid("Authorization came twice".into()));
    }
    let credentials = field.and_then(|field| field.to_str().ok()?.split_once(' '));
    match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start_matches(' ')),
        Some(_) | None => Err(AuthError::NoCredentials),
    }
}

impl AuthError {
    /// The refusal. Counts a wrong token as a guess.
    fn refused(self, context: &RequestContext) -> RefusedRequest {
        let members = ForProgram::default();
        match self {
            Self::NoCredentials => {
                let cause = "the request has no Authorization: Bearer with an API token";
                let challenge = Some("Bearer".to_owned());
                let members = ForProgram { challenge, ..members };
                RefusedRequest::for_program(Reason::Unauthenticated.because(cause), members)
            }
            Self::Invalid(cause) => {
                let challenge = Some("Bearer error=\"invalid_token\"".to_owned());
                let members = ForProgram { challenge, ..members };
                let refused = RefusedRequest::for_program(Reason::InvalidToken.because(cause), members);
                limiting::limit_guesses(context, refused)
            }
            Self::Unavailable => {
                let cause = "the API tokens cannot be read; see store.url and the log";
                RefusedRequest::for_program(Reason::StoreUnavailable.because(cause), members)
            }
        }
    }
}
