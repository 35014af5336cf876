//! Authentication by a session of this service: the cookie that a sign-in at an OpenID provider set.
//! The protocol is in [`oidc`](super::oidc), the cookie in [`session`](crate::session).

use std::sync::Arc;

use secrecy::SecretString;

use super::oidc::{OidcClient, SignedIn};
use super::refresher::{NeedsRefresh, Refreshed, Refresher};
use super::shared_sessions::{Once, SharedSessions};
use super::{AuthRequest, Authentication, Needs};
use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::seal::CryptoFailure;
use crate::session::{EndedKey, LoginCookies, NoSession, Session, SessionCookies, SessionId};

/// Signs users in at a provider, and authenticates them by their sessions.
#[derive(Debug)]
pub struct SignIn {
    /// The client of the provider.
    pub client: Arc<OidcClient>,
    /// The cookies of sessions.
    pub sessions: SessionCookies,
    /// The cookies of sign-ins that have begun.
    pub logins: LoginCookies,
    shared: SharedSessions,
    refresher: Arc<Refresher>,
}

impl SignIn {
    /// Signs users in by this client.
    pub fn new(client: OidcClient, sessions: SessionCookies, logins: LoginCookies) -> Self {
        let (shared, refresher) = Default::default();
        Self { client: Arc::new(client), sessions, logins, shared, refresher }
    }

    /// Uses the session data that replicas share, and the refreshes in progress, which outlast a
    /// reload.
    pub(super) fn share(&mut self, shared: &SharedSessions, refresher: &Arc<Refresher>) {
        self.shared = shared.clone();
        self.refresher = Arc::clone(refresher);
    }

    /// Authenticates a request by its session. Pure: the result depends only on the arguments, the
    /// ended sessions and the refreshed ones.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let mut session = match self.sessions.open(request.headers, now, self.shared.ended()) {
            Ok(session) => session,
            Err(NoSession::Absent | NoSession::Unreadable) => return Authentication::NoCredentials,
            Err(why @ NoSession::Repeated) => {
                return Authentication::Rejected(Reason::AmbiguousIdentity.because(why.cause()));
            }
            Err(why @ (NoSession::Idle | NoSession::TooOld | NoSession::Ended)) => {
                return Authentication::Rejected(Reason::ExpiredToken.because(why.cause()));
            }
        };
        if !self.shared.ended().is_read() {
            let cause = "the ended sessions have not been read from the store since the start";
            return Authentication::Rejected(Reason::StoreUnavailable.because(cause));
        }
        let mut renews_session = self.sessions.is_to_extend(&session, now);
        if self.sessions.is_to_refresh(&session, now) {
            match self.refresher.result(&session, now) {
                None => {
                    return Authentication::Needs(Needs::Session(NeedsRefresh {
                        client: Arc::clone(&self.client),
                        refresher: Arc::clone(&self.refresher),
                        shared: self.shared.clone(),
                        cookies: self.sessions.clone(),
                        session,
                    }));
                }
                Some(Refreshed::Session(refreshed)) => {
                    session = refreshed;
                    renews_session = true;
                }
                // the session stays valid until it has been idle for too long
                Some(Refreshed::Unavailable) => {}
                Some(Refreshed::Elsewhere { .. }) => renews_session = false,
                Some(Refreshed::Over) => {
                    return Authentication::Rejected(Reason::ExpiredToken.because(NoSession::Ended.cause()));
                }
            }
        }
        session.user.credentials.renews_session = renews_session;
        Authentication::User(Box::new(session.user))
    }

    /// Why a request has no session, for the log.
    pub fn explain_absence(&self, headers: &Headers<'_>, now: Timestamp) -> Option<String> {
        self.sessions.open(headers, now, self.shared.ended()).err().map(|why| why.cause().to_owned())
    }

    /// The session of a request, if it is valid.
    pub fn session(&self, headers: &Headers<'_>, now: Timestamp) -> Option<Box<Session>> {
        self.sessions.open(headers, now, self.shared.ended()).ok()
    }

    /// Ends sessions, in this process and in the store. `once`: nothing happens if it was used
    /// before.
    ///
    /// # Errors
    ///
    /// `once` was used before; or the store does not respond: then the sessions have ended only in
    /// this process, and `once` counts as not used.
    pub async fn end(&self, keys: &[EndedKey], once: Option<Once>, now: Timestamp) -> Result<(), Refusal> {
        self.shared.end(&self.sessions, keys, once, now).await
    }

    /// The `Set-Cookie` that extends the session of a request, with the user's last refreshed data.
    /// `None` if it cannot be set: the earlier cookie stays valid.
    pub fn renewed_cookie(&self, headers: &Headers<'_>, now: Timestamp) -> Option<String> {
        let mut session = self.session(headers, now)?;
        match self.refresher.result(&session, now) {
            Some(Refreshed::Session(refreshed)) => session = refreshed,
            // the browser may have a newer cookie by now
            Some(Refreshed::Elsewhere { .. }) => return None,
            None if self.sessions.is_to_refresh(&session, now) => return None,
            Some(Refreshed::Unavailable | Refreshed::Over) | None => {}
        }
        session.used = now;
        let set = self.sessions.set(&session);
        set.inspect_err(|error| tracing::error!(%error, "a session cannot be extended")).ok()
    }
}

/// The session of a user who has just signed in. Its id is new and does not depend on anything that
/// the browser sent.
///
/// # Errors
///
/// The system has no random numbers.
pub fn new_session(signed_in: SignedIn, now: Timestamp) -> Result<Session, CryptoFailure> {
    let SignedIn { user, issuer, subject, sid, nonce, authenticated_at, refresh_token } = signed_in;
    let id = SessionId::random()?;
    Ok(Session {
        id,
        sign_in: id,
        created: now,
        authenticated: authenticated_at.map(Timestamp::from_unix_seconds),
        used: now,
        refreshed: now,
        issuer,
        subject,
        sid,
        nonce,
        refresh_token: refresh_token.map(|token| SecretString::from(token.secret().clone())),
        user,
    })
}

/// The session of a frame that cannot use the browser's cookie. It has a new id, and no refresh
/// token: two sessions cannot share one, because most providers accept it only once. Both sessions
/// end together.
///
/// # Errors
///
/// The system has no random numbers.
pub fn of_frame(session: &Session) -> Result<Session, CryptoFailure> {
    Ok(Session { id: SessionId::random()?, refresh_token: None, ..session.clone() })
}
