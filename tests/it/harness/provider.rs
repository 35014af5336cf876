//! A stand-in OpenID provider, a client of it, and one login after another.

use std::sync::Arc;

use marketplace_sso::authn::oidc::{
    AccountChoice, AuthorizationResponse, Begun, OidcClient, OidcError, Previous, SignedIn,
};
use marketplace_sso::clock::Timestamp;
pub use marketplace_sso::playground::provider::{
    Changes, FixedResponse, Lies, Provider, PublishedKeys, RegisteredAuthentication, RegisteredClient,
    SignatureLie,
};
use serde_json::Value;

/// The redirect URI of the client.
pub const REDIRECT_URI: &str = "https://app.example.com/auth/pandium-sso/callback";

/// The client's id.
pub const CLIENT_ID: &str = "marketplace-sso";

/// The client's secret, with characters that HTTP Basic has to encode.
pub const CLIENT_SECRET: &str = "a-secret:of/the+client";

/// The user who signs in.
pub const ADA: &str = "usr-201";

/// A provider and its client.
pub struct Login {
    pub provider: Arc<Provider>,
    pub client: OidcClient,
}

impl Login {
    /// A client that authenticates by HTTP Basic, with additional settings.
    pub fn new(settings: &str) -> Self {
        let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
        let client = client(&provider, &format!("client_secret = {CLIENT_SECRET:?}\n{settings}"));
        Self { provider, client }
    }

    /// Like [`Self::new`], at a provider with wrong behaviour.
    pub fn with_lies(settings: &str, lies: Lies) -> Self {
        let login = Self::new(settings);
        login.provider.lie(lies);
        login
    }

    /// Signs the user in.
    pub async fn sign_in(&self) -> Result<SignedIn, OidcError> {
        let begun = self.begin().await?;
        let callback = self.provider.sign_in(&begun.url, ADA).unwrap();
        self.finish(&callback, &begun).await
    }

    /// Begins a login.
    pub async fn begin(&self) -> Result<Begun, OidcError> {
        self.client.begin(AccountChoice::Any, Timestamp::now).await
    }

    /// Finishes a login with the URL to which the provider redirects the browser.
    pub async fn finish(&self, callback: &str, begun: &Begun) -> Result<SignedIn, OidcError> {
        let (address, query) = callback.split_once('?').unwrap();
        assert_eq!(address, REDIRECT_URI);
        let response = AuthorizationResponse::parse(query)?;
        self.client.finish(&response, &begun.pending, Timestamp::now).await
    }

    /// Refreshes the data of a signed-in user.
    pub async fn refresh(&self, signed_in: &SignedIn) -> Result<SignedIn, OidcError> {
        let previous = Previous {
            subject: &signed_in.subject,
            sid: signed_in.sid.as_deref(),
            nonce: &signed_in.nonce,
            authenticated_at: signed_in.authenticated_at,
        };
        let token = signed_in.refresh_token.as_ref().unwrap();
        self.client.refresh(token, previous, Timestamp::now).await.map_err(|not| not.error)
    }

    /// The paths that the client has requested.
    pub fn requested_paths(&self) -> Vec<String> {
        self.provider.requests().into_iter().map(|request| request.path).collect()
    }
}

/// A provider at which the client authenticates in one way.
pub fn provider(authentication: RegisteredAuthentication) -> Arc<Provider> {
    let client = RegisteredClient {
        client_id: CLIENT_ID.to_owned(),
        authentication,
        redirect_uri: REDIRECT_URI.to_owned(),
        backchannel_logout_uri: None,
    };
    Provider::start(client).unwrap()
}

/// A client of a provider, with additional settings.
pub fn client(provider: &Provider, settings: &str) -> OidcClient {
    let issuer = provider.issuer();
    let text = format!("[identity]\nissuer = {issuer:?}\nclient_id = {CLIENT_ID:?}\n{settings}");
    OidcClient::from_toml(&text, REDIRECT_URI).unwrap()
}

/// A change of one member; null removes it.
pub fn change(name: &str, value: Value) -> Changes {
    Changes::of(&[(name, value)])
}

/// Asserts that a sign-in is refused for a reason, and that the detail says why.
pub fn assert_refused<T>(outcome: Result<T, OidcError>, name: &str, (reason, detail): (&str, &str)) {
    let Err(error) = outcome else { panic!("{name} is accepted") };
    assert_eq!(error.reason().code(), reason, "{name}: {error}");
    assert!(error.to_string().contains(detail), "{name}: {error}");
}
