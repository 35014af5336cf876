//! The data about a user that must be fetched from mittwald or from the store before a request can
//! be authenticated.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use super::api::{Api, KeyPurpose, MstudioUser};
use super::keys::{KeyUnavailable, PublicKey, PublicKeys};
use super::opening::Opening;
use super::session_token::invalid;
use super::settings::MittwaldSettings;
use super::transport::ApiError;
use super::values::Serial;
use crate::refusal::{Reason, Refusal};
use crate::request::Peer;
use crate::store::Store;
use crate::store::instances::StoredInstance;

/// Data that must be fetched before a request can be authenticated.
#[derive(Clone, Debug)]
pub struct MittwaldNeeds {
    sources: Arc<MittwaldSources>,
    needed: Needed,
}

#[derive(Clone, Debug)]
pub(super) enum Needed {
    /// The key that verifies a session token of a client.
    Key(Serial, Peer),
    /// The instance of a verified session token.
    Instance(Uuid),
    /// The user who opens an instance.
    Opening(Opening),
}

/// The fetched data.
#[derive(Debug)]
pub enum MittwaldFetched {
    /// The key is known now.
    Key,
    /// An instance that is installed and enabled.
    Instance(Box<StoredInstance>),
    /// An instance that is installed and enabled, and the user who opens it.
    Opened(Box<StoredInstance>, Box<MstudioUser>),
    /// Nothing usable was found, so the request is refused.
    Refused(Refusal),
}

/// The sources of this data: mittwald and the store.
pub(super) struct MittwaldSources {
    api: Arc<Api>,
    keys: PublicKeys,
    extension_ids: Vec<Uuid>,
    /// Set once the store is open.
    store: OnceLock<Store>,
}

/// The time limit of all calls for a user who opens an instance.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

impl MittwaldNeeds {
    pub(super) fn new(sources: &Arc<MittwaldSources>, needed: Needed) -> Self {
        Self { sources: Arc::clone(sources), needed }
    }

    /// Fetches the data.
    pub async fn fetch(&self) -> MittwaldFetched {
        let fetched = match &self.needed {
            Needed::Key(serial, client) => match self.sources.keys.get(*serial, *client).await {
                Ok(_) => Ok(MittwaldFetched::Key),
                Err(why) => Err(no_key(&why)),
            },
            Needed::Instance(id) => {
                let instance = self.sources.instance(*id).await;
                instance.map(|instance| MittwaldFetched::Instance(Box::new(instance)))
            }
            Needed::Opening(opening) => self.sources.open_in_time(opening).await,
        };
        fetched.unwrap_or_else(MittwaldFetched::Refused)
    }

    /// The refusal if the data cannot be fetched.
    pub fn refusal(&self) -> Refusal {
        Reason::UpstreamUnavailable.because("what mittwald says about the user was not fetched")
    }
}

impl MittwaldSources {
    pub fn new(settings: &MittwaldSettings) -> Self {
        let api = Api::new(settings.api_url.clone(), settings.timeout);
        let keys = PublicKeys::new(Arc::clone(&api), KeyPurpose::SessionToken);
        let extension_ids = settings.extension_ids.clone();
        Self { api, keys, extension_ids, store: OnceLock::new() }
    }

    /// Sets the store in which instances are looked up.
    pub fn use_store(&self, store: &Store) {
        // an error: it is set already
        let _ = self.store.set(store.clone());
    }

    /// Reuses the keys of an earlier configuration.
    pub fn reuse_keys(&self, earlier: &Self) {
        self.keys.reuse(&earlier.keys);
    }

    /// The key of this serial, if it was fetched.
    pub fn known_key(&self, serial: Serial) -> Option<Arc<PublicKey>> {
        self.keys.known(serial)
    }

    /// Whether the settings name this extension.
    pub fn serves(&self, extension: Uuid) -> bool {
        self.extension_ids.contains(&extension)
    }

    async fn instance(&self, id: Uuid) -> Result<StoredInstance, Refusal> {
        let no_store = || Reason::StoreUnavailable.because("there is no store for extension instances");
        let found = self.store.get().ok_or_else(no_store)?.instance(id).await?;
        let instance = found
            .ok_or_else(|| Reason::NotAllowed.because("the extension instance is unknown, or was removed"))?;
        if !self.serves(instance.extension_id) {
            return Err(
                Reason::NotAllowed.because("the instance is one of an extension that is no longer served")
            );
        }
        if !instance.state.enabled {
            return Err(Reason::NotAllowed.because("the extension instance is disabled"));
        }
        Ok(instance)
    }

    /// Calls [`Self::open`] with one time limit for all requests to mittwald.
    async fn open_in_time(&self, opening: &Opening) -> Result<MittwaldFetched, Refusal> {
        let opened = tokio::time::timeout(OPENING_LIMIT, self.open(opening)).await;
        opened.unwrap_or_else(|_| Err(upstream(&ApiError::TimedOut(OPENING_LIMIT))))
    }

    /// The instance comes first: a key is exchanged only once.
    async fn open(&self, opening: &Opening) -> Result<MittwaldFetched, Refusal> {
        let instance = self.instance(opening.instance).await?;
        let token = self.api.user_token(&opening.key, opening.user).await.map_err(|error| match error {
            ApiError::Refused(_) => Reason::ExpiredToken.because(
                "mittwald refuses the retrieval key: it was used before, has expired, or is another user's",
            ),
            error => upstream(&error),
        })?;
        let user = self.api.user(&token).await.map_err(|error| upstream(&error))?;
        if user.id != opening.user {
            return Err(Reason::InvalidToken.because("the retrieval key is that of another user"));
        }
        let sees = self.api.sees_instance(&token, opening.instance).await;
        if !sees.map_err(|error| upstream(&error))? {
            return Err(Reason::NotAllowed.because("the user may not see the extension instance"));
        }
        // read again: the instance may have been disabled or removed during the calls
        let instance = self.instance(instance.id).await?;
        Ok(MittwaldFetched::Opened(Box::new(instance), Box::new(user)))
    }
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

impl fmt::Debug for MittwaldSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MittwaldSources({:?})", self.extension_ids)
    }
}
