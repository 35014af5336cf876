//! Authentication by mittwald: a user opens the extension with a retrieval key, which is exchanged
//! once, or its front end sends a session token. The instance has to be installed and enabled.
//!
//! The ids in the query prove nothing: mittwald gives an access token for the key, and this token
//! identifies the user; the instance has to be one that this user may see.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::api::MstudioUser;
use super::needs::{MittwaldFetched, MittwaldNeeds, MittwaldSources, Needed};
use super::opening::Opening;
use super::session_token::{SessionClaims, SessionToken, invalid};
use super::settings::MittwaldSettings;
use super::values::Serial;
use crate::authn::authentication::{AuthRequest, Authentication, Fetched, Needs};
use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::store::Store;
use crate::store::instances::StoredInstance;
use crate::user::{Credentials, Email, Identifier, Label, User};

/// Authenticates users of mStudio.
#[derive(Clone, Debug)]
pub struct MittwaldIdentity(Arc<MittwaldSources>);

/// The header field of session tokens, in lower case.
pub const SESSION_TOKEN: &str = "x-session-token";

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
    /// Creates an authenticator for the extensions in these settings.
    pub fn new(settings: &MittwaldSettings) -> Self {
        Self(Arc::new(MittwaldSources::new(settings)))
    }

    /// Looks instances up in this store from now on.
    pub fn use_store(&self, store: &Store) {
        self.0.use_store(store);
    }

    /// Reuses the keys that were fetched for an earlier configuration.
    pub fn reuse_keys(&self, earlier: &Self) {
        self.0.reuse_keys(&earlier.0);
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
            return self.needs(Needed::Opening(opening));
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
        let Some(key) = self.0.known_key(serial) else {
            return Ok(self.needs(Needed::Key(serial, request.peer.unverified_client(request.headers))));
        };
        let claims = token.verify(&key, now)?;
        if !self.0.serves(claims.extension) {
            return Err(Reason::NotAllowed
                .because("extensionId of the session token is not in mittwald.extension_ids"));
        }
        let Some(Fetched::Mittwald(MittwaldFetched::Instance(instance))) = request.fetched else {
            return Ok(self.needs(Needed::Instance(claims.instance)));
        };
        if instance.extension_id != claims.extension || instance.context_id != claims.context {
            return Err(invalid("its extension or context is not that of its instance"));
        }
        user_of_claims(instance, claims, serial).map(|user| Authentication::User(Box::new(user)))
    }

    fn needs(&self, needed: Needed) -> Authentication {
        Authentication::Needs(Needs::Mittwald(MittwaldNeeds::new(&self.0, needed)))
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
