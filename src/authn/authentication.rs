//! What an authenticator gets, and its result.

use super::mittwald::{MittwaldFetched, MittwaldNeeds};
use super::refresher::NeedsRefresh;
use crate::clock::Timestamp;
use crate::jwt::jwks::NeedsKeys;
use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Peer};
use crate::user::User;

/// All that an authenticator sees of a request.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    /// The peer of the connection.
    pub peer: Peer,
    /// The raw request path; `None` if a proxy asks on behalf of an API, whose path is not known
    /// here.
    pub path: Option<&'a str>,
    /// The header fields.
    pub headers: &'a Headers<'a>,
    /// The query as received, without the `?`.
    pub query: &'a str,
    /// When the request was received.
    pub received: Timestamp,
    /// What was fetched because an authenticator needed it to decide this request.
    pub fetched: Option<&'a Fetched>,
}

/// The result of authentication. Bad credentials are rejected; they never count
/// as absent.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// The request carries no credentials.
    NoCredentials,
    /// The credentials are valid and belong to this user.
    User(Box<User>),
    /// The credentials are not valid.
    Rejected(Refusal),
    /// Undecided until this is fetched.
    Needs(Needs),
}

/// What must be fetched before a request can be authenticated.
#[derive(Clone, Debug)]
pub enum Needs {
    /// Keys of a token's issuer.
    Keys(NeedsKeys),
    /// What mittwald or the store says about a user.
    Mittwald(MittwaldNeeds),
    /// Newer data of a signed-in user.
    Session(NeedsRefresh),
}

/// What was fetched before a request is decided again.
#[derive(Debug)]
pub enum Fetched {
    /// Keys or the data of a session, which are cached.
    Cached,
    /// What mittwald or the store says about a user of this request.
    Mittwald(MittwaldFetched),
}

impl Needs {
    /// Fetches it. `None` if nothing was fetched, so that deciding again makes no difference.
    pub async fn fetch(self, clock: fn() -> Timestamp) -> Option<Fetched> {
        match self {
            Self::Keys(keys) => keys.fetch(clock()).await.then_some(Fetched::Cached),
            Self::Mittwald(needs) => Some(Fetched::Mittwald(needs.fetch().await)),
            Self::Session(session) => session.fetch(clock).await.then_some(Fetched::Cached),
        }
    }

    /// The refusal if it cannot be fetched.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Keys(keys) => Reason::KeysUnavailable.because(format!("the token is rejected: {keys}")),
            Self::Mittwald(needs) => needs.refusal(),
            Self::Session(_) => Reason::Internal.because("the refresh of a session was cancelled"),
        }
    }
}
