//! A stand-in OpenID provider: a login page, discovery, keys, the endpoints of the authorization
//! code flow, user info and logout. For tests, its behaviour can be made wrong. It also serves the
//! paths of mittwald's plain OAuth 2.0.

mod authorize;
mod keys;
mod lies;
mod logout;
mod routes;
mod token;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::{App, HttpServer, web};
use serde_json::{Map, Value, json};

pub use self::lies::{Changes, FixedResponse, Lies, PublishedKeys, SignatureLie};
pub use self::routes::routes;

use self::authorize::Grant;
use self::keys::Keys;
use super::pages::Pages;
use super::people::Person;
use crate::jwt::key_set::KeySet;

/// The provider.
pub struct Provider {
    origin: String,
    client: RegisteredClient,
    pages: Pages,
    state: Mutex<State>,
}

/// The client, as it is registered at the provider.
pub struct RegisteredClient {
    /// The client's id.
    pub client_id: String,
    /// How the client authenticates at the token endpoint.
    pub authentication: RegisteredAuthentication,
    /// The redirect URI, compared as a string.
    pub redirect_uri: String,
    /// Where logout tokens are sent (Back-Channel Logout 1.0).
    pub backchannel_logout_uri: Option<String>,
}

/// How the client authenticates; any other way is refused.
pub enum RegisteredAuthentication {
    /// Not at all.
    None,
    /// By HTTP Basic.
    SecretBasic(String),
    /// In the body.
    SecretPost(String),
    /// By an assertion that this key verifies.
    PrivateKey(KeySet),
}

/// A request to the provider, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Its path.
    pub path: String,
    /// `Authorization`, if it has one.
    pub authorization: Option<String>,
    /// The parameters of its body.
    pub form: BTreeMap<String, String>,
}

struct State {
    keys: Keys,
    lies: Lies,
    codes: BTreeMap<String, Grant>,
    used_codes: BTreeMap<String, Grant>,
    refresh_tokens: BTreeMap<String, Grant>,
    access_tokens: BTreeMap<String, Grant>,
    requests: Vec<RecordedRequest>,
}

impl Provider {
    /// Creates a provider that is reached by this origin.
    pub fn new(origin: String, client: RegisteredClient) -> anyhow::Result<Self> {
        let state = State {
            keys: Keys::new()?,
            lies: Lies::default(),
            codes: BTreeMap::new(),
            used_codes: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            requests: Vec::new(),
        };
        Ok(Self { origin, client, pages: Pages::compile()?, state: Mutex::new(state) })
    }

    /// Starts a provider on a port that the system chooses, in its own thread. It runs until the
    /// process ends.
    pub fn start(client: RegisteredClient) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let provider = Arc::new(Self::new(origin, client)?);
        let state = web::Data::from(Arc::clone(&provider));
        std::thread::spawn(move || {
            let serve = async move {
                let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes));
                server.workers(1).disable_signals().listen(listener)?.run().await
            };
            if let Err(error) = actix_web::rt::System::new().block_on(serve) {
                tracing::error!(%error, "the stand-in provider ended");
            }
        });
        Ok(provider)
    }

    /// Its origin, which is its issuer.
    pub fn issuer(&self) -> &str {
        &self.origin
    }

    /// Behaves wrongly from now on, as `lies` says.
    pub fn lie(&self, lies: Lies) {
        self.state().lies = lies;
    }

    /// Signs with a new key from now on.
    pub fn rotate_keys(&self) -> anyhow::Result<()> {
        self.state().keys.rotate()
    }

    /// Forgets a user's refresh tokens, as a logout does.
    pub fn revoke_refresh_tokens(&self) {
        self.state().refresh_tokens.clear();
    }

    /// The requests so far, without those of browsers.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metadata(&self) -> Map<String, Value> {
        let at = |path: &str| json!(format!("{}{path}", self.origin));
        let members = [
            ("issuer", json!(self.origin)),
            ("authorization_endpoint", at("/authorize")),
            ("token_endpoint", at("/token")),
            ("userinfo_endpoint", at("/userinfo")),
            ("end_session_endpoint", at("/end_session")),
            ("jwks_uri", at("/jwks")),
            ("response_types_supported", json!(["code"])),
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["RS256"])),
            ("code_challenge_methods_supported", json!(["S256"])),
            ("authorization_response_iss_parameter_supported", json!(true)),
            ("backchannel_logout_supported", json!(true)),
            ("backchannel_logout_session_supported", json!(true)),
            (
                "token_endpoint_auth_methods_supported",
                json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]),
            ),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl RegisteredAuthentication {
    /// The secret; empty if there is none.
    fn secret(&self) -> &str {
        match self {
            Self::SecretBasic(secret) | Self::SecretPost(secret) => secret,
            Self::None | Self::PrivateKey(_) => "",
        }
    }
}

/// The claims that the scopes `profile` and `email` request, and `groups`.
fn claims_of(person: &Person, scopes: &str) -> Map<String, Value> {
    let has = |scope: &str| scopes.split(' ').any(|own| own == scope);
    let mut claims = Map::from_iter([("sub".to_owned(), json!(person.id))]);
    if has("profile") {
        claims.insert("name".to_owned(), json!(person.name));
        claims.insert("preferred_username".to_owned(), json!(person.username));
        claims.insert("groups".to_owned(), json!(person.groups));
        claims.insert("organization_id".to_owned(), json!(person.organization_id));
        claims.insert("organization_name".to_owned(), json!(person.organization_name));
        claims.insert("plan".to_owned(), json!(person.plan.as_str()));
    }
    if has("email") {
        claims.insert("email".to_owned(), json!(person.email));
        claims.insert("email_verified".to_owned(), json!(true));
    }
    claims
}
