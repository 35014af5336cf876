//! Sign-in at an OpenID provider: the authorization code flow with PKCE, refreshes, and logout.
//! Only the protocol: cookies, routes and sessions are elsewhere.
//!
//! OpenID Connect Core 1.0 and Discovery 1.0, RP-Initiated Logout 1.0, Back-Channel Logout
//! 1.0; RFC 6749, 7636, 9207 and 9700. The crate `oauth2` makes the OAuth requests; ID tokens
//! are verified by [`crate::jwt`].

mod client_settings;
mod error;
mod http_client;
mod id_token;
mod logout_token;
mod metadata;
mod pending;
mod prompt;
mod response;
pub(crate) mod settings;
mod token_request;
mod user_info;

use std::fmt;
use std::sync::Arc;

use oauth2::{
    AuthUrl, Client, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RefreshToken, Scope,
};
use serde_json::{Map, Value};
use url::Url;

pub use error::{Endpoint, OidcError, TokenKind};
pub use http_client::HttpClient;
pub use id_token::TokenRules;
pub use logout_token::{LoggedOut, LogoutToken};
pub use metadata::{ConfiguredEndpoints, Discovery, Metadata, MetadataSource};
pub use pending::{Begun, PendingLogin};
pub use prompt::{AccountChoice, Prompt};
pub use response::{AuthorizationResponse, BadResponse, Denial, MAX_QUERY_BYTES};
pub use token_request::{ClientAuthentication, Registration};
pub use user_info::AccessTokenHeader;

use self::id_token::{IdToken, IssuedFor};
use self::token_request::{Grant, Tokens};
use super::token::UserMapping;
use crate::clock::Timestamp;
use crate::jwt::jwks::JwksCache;
use crate::user::{Credentials, User};

/// A client of one provider.
#[derive(Debug)]
pub struct OidcClient {
    /// The client, as registered at the provider.
    pub registration: Registration,
    /// The provider's endpoints.
    pub metadata: MetadataSource,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The value of `prompt` in each authorization request.
    pub prompt: Option<Prompt>,
    /// Where the provider sends the browser after a sign-out; registered there.
    pub post_logout_redirect_uri: Option<String>,
    /// How users are identified.
    pub identification: UserIdentification,
    /// How claims map to the user.
    pub mapping: UserMapping,
    /// Sends requests to the provider.
    pub http: HttpClient,
}

/// How users are identified.
#[derive(Debug)]
pub enum UserIdentification {
    /// By an ID token.
    IdToken {
        /// How it is verified.
        rules: Box<TokenRules>,
        /// Whether the claims of the user info endpoint are added.
        user_info: bool,
    },
    /// By a look-up with the access token, at a provider of plain OAuth 2.0.
    LookUp {
        /// How the access token is sent.
        header: AccessTokenHeader,
        /// The claim that identifies the user.
        subject: &'static str,
    },
}

/// A user who has signed in, or whose data was refreshed.
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The provider.
    pub issuer: String,
    /// The user's id at the provider; with the issuer it is unique.
    pub subject: String,
    /// The session at the provider, for logout tokens.
    pub sid: Option<String>,
    /// The nonce of the login: a later ID token has the same one, or none.
    pub nonce: String,
    /// When the user logged in at the provider, in seconds since the Unix epoch.
    pub authenticated_at: Option<u64>,
    /// A token that refreshes the user's data.
    pub refresh_token: Option<RefreshToken>,
}

/// What a refresh is compared with: fields of the previous [`SignedIn`].
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// [`SignedIn::subject`].
    pub subject: &'a str,
    /// [`SignedIn::sid`].
    pub sid: Option<&'a str>,
    /// [`SignedIn::nonce`].
    pub nonce: &'a str,
    /// [`SignedIn::authenticated_at`].
    pub authenticated_at: Option<u64>,
}

/// Why a user's data is not refreshed.
#[derive(Debug)]
pub struct NotRefreshed {
    /// What is wrong.
    pub error: OidcError,
    /// The refresh token that replaces the earlier one, which the provider may no longer accept.
    pub refresh_token: Option<RefreshToken>,
}

impl OidcClient {
    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// The redirect URI, as it is registered at the provider.
    pub fn redirect_uri(&self) -> &str {
        self.registration.redirect_uri.as_str()
    }

    /// The cache of the provider's keys, if it has any.
    pub fn key_cache(&self) -> Option<&Arc<JwksCache>> {
        match &self.identification {
            UserIdentification::IdToken { rules, .. } => rules.keys.published(),
            UserIdentification::LookUp { .. } => None,
        }
    }

    /// After a reload: reuses the keys of the previous configuration.
    pub fn reuse_cached_keys(&mut self, earlier: &[Arc<JwksCache>]) {
        match &mut self.identification {
            UserIdentification::IdToken { rules, .. } => rules.keys.reuse_cached(earlier),
            UserIdentification::LookUp { .. } => {}
        }
    }

    /// Whether the provider can be asked to let the user choose another account: plain OAuth 2.0
    /// has no `prompt`.
    pub const fn asks_for_account(&self) -> bool {
        matches!(self.identification, UserIdentification::IdToken { .. })
    }

    /// Begins a login. Returns the URL to which the browser is redirected, and what to keep until
    /// the provider responds.
    pub async fn begin(&self, account: AccountChoice, clock: fn() -> Timestamp) -> Result<Begun, OidcError> {
        let metadata = self.metadata.get(self.http.fetcher(), clock).await?;
        let pending = PendingLogin::new(self.issuer(), clock())?;
        let authorization = AuthUrl::new(metadata.authorization.as_str().to_owned());
        let authorization = authorization.map_err(|_| {
            OidcError::malformed(Endpoint::Discovery, "its authorization_endpoint is not a URL")
        })?;
        let verifier = PkceCodeVerifier::new(pending.code_verifier.clone());
        let client: oauth2::basic::BasicClient<_, _, _, _, _> =
            Client::new(ClientId::new(self.registration.client_id.clone()))
                .set_auth_uri(authorization)
                .set_redirect_uri(self.registration.redirect_uri.clone());
        let mut request = client
            .authorize_url(|| CsrfToken::new(pending.state.clone()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new));
        match &self.identification {
            UserIdentification::IdToken { rules, .. } => {
                request = request.add_extra_param("nonce", pending.nonce.clone());
                if let Some(max_age_s) = rules.max_age_s {
                    request = request.add_extra_param("max_age", max_age_s.to_string());
                }
            }
            UserIdentification::LookUp { .. } => {}
        }
        let prompt = match account {
            AccountChoice::Other if self.asks_for_account() => {
                Some(Prompt::for_other_account(self.prompt, self.issuer()))
            }
            AccountChoice::Other | AccountChoice::Any => self.prompt,
        };
        if let Some(prompt) = prompt {
            request = request.add_extra_param("prompt", prompt.name());
        }
        let (url, _) = request.url();
        Ok(Begun { url: url.into(), pending })
    }

    /// Finishes a login. Nothing is sent to the provider before the response is known to belong to it.
    pub async fn finish(
        &self,
        response: &AuthorizationResponse,
        pending: &PendingLogin,
        clock: fn() -> Timestamp,
    ) -> Result<SignedIn, OidcError> {
        pending.check(response, self.issuer(), clock())?;
        let metadata = self.metadata.get(self.http.fetcher(), clock).await?;
        match response.iss.as_deref() {
            Some(issuer) if issuer != self.issuer() => {
                return Err(OidcError::AnotherIssuer("the authorization response is of another issuer"));
            }
            None if metadata.sends_issuer => {
                return Err(OidcError::AnotherIssuer(
                    "the authorization response has no iss, which the provider always sends",
                ));
            }
            Some(_) | None => {}
        }
        if let Some(denial) = response.error {
            return Err(OidcError::Denied(denial));
        }
        let code = response.code.as_deref().ok_or(OidcError::Response(BadResponse::Incomplete))?;
        let grant = Grant::Code { code, verifier: &pending.code_verifier };
        let tokens = self.registration.request(&self.http, &metadata.token, grant, clock()).await?;
        let login = IssuedFor::Login { nonce: &pending.nonce, code };
        self.identify(tokens, login, &metadata, clock).await
    }

    /// Refreshes a user's data. The refresh token in the result replaces the earlier one, even if
    /// the rest of the refresh fails: most providers accept a refresh token only once.
    ///
    /// # Errors
    ///
    /// See [`OidcError::ends_session`]. [`OidcError::NotSupported`]: the provider sends no ID token.
    pub async fn refresh(
        &self,
        refresh_token: &RefreshToken,
        previous: Previous<'_>,
        clock: fn() -> Timestamp,
    ) -> Result<SignedIn, NotRefreshed> {
        let before = |error| NotRefreshed { error, refresh_token: None };
        let metadata = self.metadata.get(self.http.fetcher(), clock).await.map_err(before)?;
        let grant = Grant::Refresh(refresh_token);
        let tokens = self.registration.request(&self.http, &metadata.token, grant, clock()).await;
        let mut tokens = tokens.map_err(before)?;
        // without a new one, the earlier one stays valid (RFC 6749, 6)
        tokens.refresh_token.get_or_insert_with(|| refresh_token.clone());
        let Previous { subject, sid, nonce, authenticated_at } = previous;
        let issued_for = IssuedFor::Refresh { subject, nonce, authenticated_at };
        let newest = tokens.refresh_token.clone();
        let signed_in = self.identify(tokens, issued_for, &metadata, clock).await;
        let mut signed_in = signed_in.map_err(|error| NotRefreshed { error, refresh_token: newest })?;
        signed_in.sid = signed_in.sid.or_else(|| sid.map(str::to_owned));
        signed_in.authenticated_at = signed_in.authenticated_at.or(authenticated_at);
        Ok(signed_in)
    }

    /// The URL that logs the user out at the provider, too (RP-Initiated Logout 1.0, 2). `None` if
    /// the provider has no such URL, or is not available.
    pub async fn end_session_url(&self, clock: fn() -> Timestamp) -> Option<String> {
        let metadata = self.metadata.get(self.http.fetcher(), clock).await.ok()?;
        let mut url = Url::parse(metadata.end_session.as_ref()?.as_str()).ok()?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.registration.client_id);
            if let Some(return_to) = &self.post_logout_redirect_uri {
                query.append_pair("post_logout_redirect_uri", return_to);
            }
        }
        Some(url.into())
    }

    /// Verifies a logout token. The caller detects by its `jti` whether it was used before.
    pub async fn verify_logout_token(
        &self,
        token: &str,
        clock: fn() -> Timestamp,
    ) -> Result<LogoutToken, OidcError> {
        match &self.identification {
            UserIdentification::IdToken { rules, .. } => rules.logout_token(token, clock).await,
            UserIdentification::LookUp { .. } => Err(OidcError::NotSupported("logout tokens")),
        }
    }

    async fn identify(
        &self,
        tokens: Tokens,
        issued_for: IssuedFor<'_>,
        metadata: &Metadata,
        clock: fn() -> Timestamp,
    ) -> Result<SignedIn, OidcError> {
        let Tokens { access_token, refresh_token, id_token } = tokens;
        let access_token = access_token.secret();
        let IdToken { claims, subject, sid, key_id, authenticated_at } = match &self.identification {
            UserIdentification::IdToken { rules, user_info } => {
                let mut verified = match (id_token, issued_for) {
                    (Some(id_token), _) => rules.id_token(&id_token, access_token, issued_for, clock).await?,
                    // an ID token is optional in a refresh (OpenID Connect Core, 12.2), but user
                    // info alone may lack a restricting claim of the ID token, such as
                    // email_verified
                    (None, IssuedFor::Refresh { .. }) => {
                        return Err(OidcError::NotSupported(
                            "a refresh of the user's data: its response has no ID token",
                        ));
                    }
                    (None, IssuedFor::Login { .. }) => {
                        return Err(OidcError::malformed(Endpoint::Token, "it has no id_token"));
                    }
                };
                if *user_info {
                    let claims = self.look_up(metadata, AccessTokenHeader::Bearer, access_token).await?;
                    verified.claims = user_info::merge(verified.claims, claims, &verified.subject)?;
                }
                verified
            }
            UserIdentification::LookUp { header, subject: name } => {
                let claims = self.look_up(metadata, *header, access_token).await?;
                let subject = user_info::subject(&claims, name)?;
                issued_for.check_look_up(&subject)?;
                IdToken { claims, ..IdToken::without_token(&subject) }
            }
        };
        let user = self.mapping.user(claims).map_err(OidcError::User)?;
        let credentials =
            Credentials { issuer: Some(self.issuer().to_owned()), key_id, ..Credentials::default() };
        Ok(SignedIn {
            user: User { credentials, ..user },
            issuer: self.issuer().to_owned(),
            subject,
            sid,
            nonce: issued_for.nonce().to_owned(),
            authenticated_at,
            refresh_token,
        })
    }

    async fn look_up(
        &self,
        metadata: &Metadata,
        header: AccessTokenHeader,
        access_token: &str,
    ) -> Result<Map<String, Value>, OidcError> {
        let url = metadata.user_info.as_ref();
        let missing = || OidcError::malformed(Endpoint::Discovery, "it has no userinfo_endpoint");
        user_info::fetch(&self.http, url.ok_or_else(missing)?, header, access_token).await
    }
}

/// Hides the refresh token and the user.
impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
