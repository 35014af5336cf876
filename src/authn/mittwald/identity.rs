//! Authentication by mittwald: a user opens the extension with a retrieval key, which is exchanged
//! once, or its front end sends a session token. The instance has to be installed and enabled.
//!
//! The ids in the query prove nothing: the user is the one whose access token mittwald gives for the
//! key, and the instance has to be one that this user may see.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::api::{Api, ApiError, KeyPurpose, MstudioUser};
use super::keys::{KeyUnavailable, PublicKeys};
use super::opening::Opening;
use super::session_token::{SessionClaims, SessionToken, invalid};
use super::settings::MittwaldSettings;
use super::values::Serial;
use crate::authn::authentication::{AuthRequest, Authentication, Fetched, Needs};
use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::request::Peer;
use crate::store::Store;
use crate::store::instances::StoredInstance;
use crate::user::{Credentials, Email, Identifier, Label, User};

/// Authenticates users of mStudio.
#[derive(Clone)]
pub struct MittwaldIdentity(Arc<Inner>);

struct Inner {
    api: Arc<Api>,
    keys: PublicKeys,
    extension_ids: Vec<Uuid>,
    /// Set once the store is open.
    store: OnceLock<Store>,
}

/// What must be fetched before a request can be authenticated.
#[derive(Clone, Debug)]
pub struct MittwaldNeeds {
    identity: MittwaldIdentity,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// The key that verifies a session token of a client.
    Key(Serial, Peer),
    /// The instance of a verified session token.
    Instance(Uuid),
    /// The user who opens an instance.
    Opening(Opening),
}

/// What was fetched.
#[derive(Debug)]
pub enum MittwaldFetched {
    /// The key is known now.
    Key,
    /// An instance that is installed and enabled.
    Instance(Box<StoredInstance>),
    /// The same, and the user who opens it.
    Opened(Box<StoredInstance>, Box<MstudioUser>),
    /// There is nothing: the request is refused.
    Refused(Refusal),
}

/// The header field of session tokens, in lower case.
pub const SESSION_TOKEN: &str = "x-session-token";

/// The time limit of all calls for a user who opens an instance.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// The fields that users have.
const FIELDS: [&str; 8] = [
    "id",
    "email",
    "name",
    "organization.id",
    "attributes.context_id",
    "attributes.context_kind",
    "attributes.extension_instance_id",
    "attributes.scopes",
];

impl MittwaldIdentity {
    /// For the extensions of these settings.
    pub fn new(settings: &MittwaldSettings) -> Self {
        let api = Api::new(settings.api_url.clone(), settings.timeout);
        let keys = PublicKeys::new(Arc::clone(&api), KeyPurpose::SessionToken);
        let extension_ids = settings.extension_ids.clone();
        Self(Arc::new(Inner { api, keys, extension_ids, store: OnceLock::new() }))
    }

    /// Looks instances up there from now on.
    pub fn use_store(&self, store: &Store) {
        // an error: it is set already
        let _ = self.0.store.set(store.clone());
    }

    /// Takes over the keys of an earlier configuration.
    pub fn reuse_keys(&self, earlier: &Self) {
        self.0.keys.reuse(&earlier.0.keys);
    }

    /// Whether users can have a field.
    pub fn can_yield(&self, name: &str) -> bool {
        FIELDS.contains(&name)
    }

    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        if let Some(Fetched::Mittwald(MittwaldFetched::Refused(refusal))) = request.fetched {
            return Authentication::Rejected(refusal.clone());
        }
        let Ok(token) = request.headers.only(SESSION_TOKEN) else {
            return Authentication::Rejected(Reason::AmbiguousIdentity.because("x-session-token came twice"));
        };
        match (token, Opening::parse(request.query)) {
            (None, Ok(None)) => Authentication::NoCredentials,
            (None, Ok(Some(opening))) => self.opened(opening, request.fetched),
            (Some(token), Ok(None)) => {
                self.by_session_token(token, request, now).unwrap_or_else(Authentication::Rejected)
            }
            (Some(_), Ok(Some(_))) => Authentication::Rejected(
                Reason::AmbiguousIdentity.because("there are a session token and a retrieval key"),
            ),
            (_, Err(refusal)) => Authentication::Rejected(refusal),
        }
    }

    fn opened(&self, opening: Opening, fetched: Option<&Fetched>) -> Authentication {
        let Some(Fetched::Mittwald(MittwaldFetched::Opened(instance, user))) = fetched else {
            return self.needs(What::Opening(opening));
        };
        match user_of_opening(instance, user) {
            Ok(user) => Authentication::User(Box::new(user)),
            Err(refusal) => Authentication::Rejected(refusal),
        }
    }

    fn by_session_token(
        &self,
        token: &[u8],
        request: AuthRequest<'_>,
        now: Timestamp,
    ) -> Result<Authentication, Refusal> {
        let token = SessionToken::parse(token)?;
        let serial = token.serial;
        let Some(key) = self.0.keys.known(serial) else {
            return Ok(self.needs(What::Key(serial, request.peer.unverified_client(request.headers))));
        };
        let claims = token.verify(&key, now)?;
        if !self.0.extension_ids.contains(&claims.extension) {
            return Err(Reason::NotAllowed
                .because("extensionId of the session token is not in mittwald.extension_ids"));
        }
        let Some(Fetched::Mittwald(MittwaldFetched::Instance(instance))) = request.fetched else {
            return Ok(self.needs(What::Instance(claims.instance)));
        };
        if instance.extension_id != claims.extension || instance.context_id != claims.context {
            return Err(invalid("its extension or context is not that of its instance"));
        }
        user_of_claims(instance, claims, serial).map(|user| Authentication::User(Box::new(user)))
    }

    fn needs(&self, what: What) -> Authentication {
        Authentication::Needs(Needs::Mittwald(MittwaldNeeds { identity: self.clone(), what }))
    }

    async fn instance(&self, id: Uuid) -> Result<StoredInstance, Refusal> {
        let no_store = || Reason::StoreUnavailable.because("there is no store for extension instances");
        let found = self.0.store.get().ok_or_else(no_store)?.instance(id).await?;
        let instance = found
            .ok_or_else(|| Reason::NotAllowed.because("the extension instance is unknown, or was removed"))?;
        if !self.0.extension_ids.contains(&instance.extension_id) {
            return Err(
                Reason::NotAllowed.because("the instance is one of an extension that is no longer served")
            );
        }
        if !instance.state.enabled {
            return Err(Reason::NotAllowed.because("the extension instance is disabled"));
        }
        Ok(instance)
    }

    /// The same with one time limit for all calls.
    async fn open_in_time(&self, opening: &Opening) -> Result<MittwaldFetched, Refusal> {
        let opened = tokio::time::timeout(OPENING_LIMIT, self.open(opening)).await;
        opened.unwrap_or_else(|_| Err(upstream(&ApiError::TimedOut(OPENING_LIMIT))))
    }

    /// The instance comes first: a key is exchanged only once.
    async fn open(&self, opening: &Opening) -> Result<MittwaldFetched, Refusal> {
        let instance = self.instance(opening.instance).await?;
        let token = self.0.api.user_token(&opening.key, opening.user).await.map_err(|error| match error {
            ApiError::Refused(_) => Reason::ExpiredToken.because(
                "mittwald refuses the retrieval key: it was used before, has expired, or is another user's",
            ),
            error => upstream(&error),
        })?;
        let user = self.0.api.user(&token).await.map_err(|error| upstream(&error))?;
        if user.id != opening.user {
            return Err(Reason::InvalidToken.because("the retrieval key is that of another user"));
        }
        let sees = self.0.api.sees_instance(&token, opening.instance).await;
        if !sees.map_err(|error| upstream(&error))? {
            return Err(Reason::NotAllowed.because("the user may not see the extension instance"));
        }
        // again: it may have been disabled or removed during the calls
        let instance = self.instance(instance.id).await?;
        Ok(MittwaldFetched::Opened(Box::new(instance), Box::new(user)))
    }
}

impl MittwaldNeeds {
    /// Fetches it.
    pub async fn fetch(&self) -> MittwaldFetched {
        let fetched = match &self.what {
            What::Key(serial, client) => match self.identity.0.keys.get(*serial, *client).await {
                Ok(_) => Ok(MittwaldFetched::Key),
                Err(why) => Err(no_key(&why)),
            },
            What::Instance(id) => {
                let instance = self.identity.instance(*id).await;
                instance.map(|instance| MittwaldFetched::Instance(Box::new(instance)))
            }
            What::Opening(opening) => self.identity.open_in_time(opening).await,
        };
        fetched.unwrap_or_else(MittwaldFetched::Refused)
    }

    /// The refusal where it cannot be fetched.
    pub fn refusal(&self) -> Refusal {
        Reason::UpstreamUnavailable.because("what mittwald says about the user was not fetched")
    }
}

fn user_of_opening(instance: &StoredInstance, user: &MstudioUser) -> Result<User, Refusal> {
    let bad =
        |what: &str| Reason::BadIdentity.because(format!("the {what} of the user at mittwald is not valid"));
    let email = user.email.as_deref().filter(|email| !email.is_empty()).map(Email::parse);
    let name = Some(user.name.trim()).filter(|name| !name.is_empty()).map(Label::parse);
    Ok(User {
        email: email.transpose().map_err(|_| bad("e-mail address"))?,
        name: name.transpose().map_err(|_| bad("name"))?,
        ..user_at(instance, user.id, &instance.state.scopes)
    })
}

fn user_of_claims(instance: &StoredInstance, claims: SessionClaims, serial: Serial) -> Result<User, Refusal> {
    let SessionClaims { user, scopes, all, .. } = claims;
    let credentials = Credentials { key_id: Some(serial.to_string()), ..Credentials::default() };
    let token = Map::into_iter(all).collect();
    Ok(User { token, credentials, ..user_at(instance, user, &scopes) })
}

fn user_at(instance: &StoredInstance, id: Uuid, scopes: &[String]) -> User {
    let attributes: [(&str, Value); 4] = [
        ("context_id", json!(instance.context_id)),
        ("context_kind", json!(instance.context_kind)),
        ("extension_instance_id", json!(instance.id)),
        ("scopes", json!(scopes)),
    ];
    let mut user = User {
        id: Identifier::parse(&id.to_string()).ok(),
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..User::default()
    };
    user.organization.id = Identifier::parse(&instance.context_id.to_string()).ok();
    user
}

fn no_key(why: &KeyUnavailable) -> Refusal {
    match why {
        KeyUnavailable::Unknown => invalid("mittwald has no key of its publicKeySerial"),
        KeyUnavailable::TooMany(_) | KeyUnavailable::Failed(_) => {
            Reason::KeysUnavailable.because(format!("the session token is not verified: {why}"))
        }
    }
}

fn upstream(error: &ApiError) -> Refusal {
    Reason::UpstreamUnavailable.because(error.to_string())
}

impl fmt::Debug for MittwaldIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MittwaldIdentity({:?})", self.0.extension_ids)
    }
}
