//! Requests to the token endpoint (RFC 6749, 4.1.3 and 6): the client's authentication, and
//! what a response or an error means.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::fmt;

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::http::{HeaderValue, StatusCode, header};
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse as _,
    TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::{Endpoint, OidcError};
use super::http_client::{HttpClient, json_object};
use super::pending::random_text;
use crate::clock::Timestamp;
use crate::jwt::jwks::fetch::KeyUrl;
use crate::jwt::private_key::PrivateKey;

/// How this client authenticates at the token endpoint (OpenID Connect Core, 9).
#[derive(Debug)]
pub enum ClientAuthentication {
    /// A public client.
    None,
    /// The secret by HTTP Basic authentication.
    SecretBasic(ClientSecret),
    /// The secret in the body.
    SecretPost(ClientSecret),
    /// An assertion that this client signs (RFC 7523).
    PrivateKey(Box<PrivateKey>),
}

/// This client, as it is registered at the provider.
#[derive(Debug)]
pub struct Registration {
    /// The issuer: the audience of assertions.
    pub issuer: String,
    /// The client's id.
    pub client_id: String,
    /// How it authenticates.
    pub authentication: ClientAuthentication,
    /// The redirect URI, compared as a string.
    pub redirect_uri: RedirectUrl,
}

/// What is exchanged for tokens.
pub(super) enum Grant<'a> {
    Code { code: &'a str, verifier: &'a str },
    Refresh(&'a RefreshToken),
}

/// The tokens that the endpoint issues.
pub(super) struct Tokens {
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    pub id_token: Option<String>,
}

/// The member of a token response that OpenID Connect adds.
#[derive(Serialize, Deserialize)]
struct IdTokenField {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

type TokenResponse = StandardTokenResponse<IdTokenField, BasicTokenType>;

type TokenClient = Client<
    BasicErrorResponse,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// How long an assertion is valid, in seconds.
const ASSERTION_LIFETIME_S: u64 = 60;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Registration {
    /// Exchanges a code or a refresh token.
    pub(super) async fn request(
        &self,
        http: &HttpClient,
        endpoint: &KeyUrl,
        grant: Grant<'_>,
        now: Timestamp,
    ) -> Result<Tokens, OidcError> {
        let client = self.client(endpoint)?;
        let assertion = self.assertion(now)?;
        let send = Sender(http);
        let what = grant.name();
        let response = match grant {
            Grant::Code { code, verifier } => {
                let mut request = client
                    .exchange_code(AuthorizationCode::new(code.to_owned()))
                    .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
                for (name, value) in &assertion {
                    request = request.add_extra_param(*name, value.as_str());
                }
                request.request_async(&send).await
            }
            Grant::Refresh(token) => {
                let mut request = client.exchange_refresh_token(token);
                for (name, value) in &assertion {
                    request = request.add_extra_param(*name, value.as_str());
                }
                request.request_async(&send).await
            }
        };
        tokens(response.map_err(|error| failure(error, what))?)
    }

    fn client(&self, endpoint: &KeyUrl) -> Result<TokenClient, OidcError> {
        let url = TokenUrl::new(endpoint.as_str().to_owned())
            .map_err(|_| OidcError::malformed(Endpoint::Discovery, "its token_endpoint is not a URL"))?;
        let client = Client::new(ClientId::new(self.client_id.clone()))
            .set_token_uri(url)
            .set_redirect_uri(self.redirect_uri.clone());
        Ok(match &self.authentication {
            ClientAuthentication::None | ClientAuthentication::PrivateKey(_) => {
                client.set_auth_type(AuthType::RequestBody)
            }
            ClientAuthentication::SecretBasic(secret) => {
                client.set_client_secret(secret.clone()).set_auth_type(AuthType::BasicAuth)
            }
            ClientAuthentication::SecretPost(secret) => {
                client.set_client_secret(secret.clone()).set_auth_type(AuthType::RequestBody)
            }
        })
    }

    /// The parameters of a signed assertion. Its audience is only the issuer: an assertion for
    /// several audiences could be replayed at another one.
    fn assertion(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, OidcError> {
        let ClientAuthentication::PrivateKey(key) = &self.authentication else { return Ok(Vec::new()) };
        let issued_at = now.unix_seconds();
        let claims = json!({"iss": self.client_id, "sub": self.client_id, "aud": self.issuer,
            "jti": random_text()?, "iat": issued_at, "exp": issued_at.saturating_add(ASSERTION_LIFETIME_S)});
        let assertion =
            key.sign(&claims).map_err(|_| OidcError::Crypto("identity.client_key_file cannot sign"))?;
        Ok(vec![("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion)])
    }
}

impl ClientAuthentication {
    /// The name of the method in provider metadata.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKey(_) => "private_key_jwt",
        }
    }
}

impl Grant<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Code { .. } => "authorization code",
            Self::Refresh(_) => "refresh token",
        }
    }
}

/// The HTTP client of the crate `oauth2`. It is a type with a boxed future, because the compiler
/// cannot prove that the future of a closure is Send.
struct Sender<'h>(&'h HttpClient);

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = OidcError;
    type Future = BoxFuture<'c, Result<HttpResponse, OidcError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        send(self.0, request).boxed()
    }
}

/// Sends a token request. Duplicate members are rejected here, because the crate `oauth2` accepts
/// them and uses the last one.
async fn send(http: &HttpClient, request: HttpRequest) -> Result<HttpResponse, OidcError> {
    let mut response = http.send(Endpoint::Token, request).await?;
    json_object(Endpoint::Token, &response)?;
    if response.status().is_success() && response.status() != StatusCode::OK {
        let what = format!("the status is {} and not 200", response.status());
        return Err(OidcError::malformed(Endpoint::Token, what));
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn tokens(response: TokenResponse) -> Result<Tokens, OidcError> {
    if *response.token_type() != BasicTokenType::Bearer {
        return Err(OidcError::malformed(Endpoint::Token, "its token_type is not Bearer"));
    }
    if response.access_token().secret().is_empty() {
        return Err(OidcError::malformed(Endpoint::Token, "its access_token is empty"));
    }
    Ok(Tokens {
        access_token: response.access_token().clone(),
        refresh_token: response.refresh_token().filter(|token| !token.secret().is_empty()).cloned(),
        id_token: response.extra_fields().id_token.clone(),
    })
}

/// What an error of the endpoint means (RFC 6749, 5.2).
fn failure(error: RequestTokenError<OidcError, BasicErrorResponse>, grant: &'static str) -> OidcError {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(response) => match response.error() {
            BasicErrorResponseType::InvalidGrant => OidcError::GrantRejected(grant),
            BasicErrorResponseType::InvalidClient => OidcError::ClientRejected("invalid_client"),
            BasicErrorResponseType::UnauthorizedClient => OidcError::ClientRejected("unauthorized_client"),
            BasicErrorResponseType::UnsupportedGrantType => {
                OidcError::ClientRejected("unsupported_grant_type")
            }
            BasicErrorResponseType::InvalidScope => OidcError::ClientRejected("invalid_scope"),
            BasicErrorResponseType::InvalidRequest => OidcError::ClientRejected("invalid_request"),
            BasicErrorResponseType::Extension(_) => {
                OidcError::ClientRejected("an error that is not standardized")
            }
        },
        // quotes neither the value nor the error text of serde, which contains the value
        RequestTokenError::Parse(error, _) => {
            let what = match error.path().to_string().as_str() {
                path @ ("access_token" | "token_type" | "expires_in" | "refresh_token" | "scope"
                | "id_token" | "error" | "error_description" | "error_uri") => {
                    format!("its {path} has the wrong type")
                }
                _ => "a required member is missing, or has the wrong type".to_owned(),
            };
            OidcError::malformed(Endpoint::Token, what)
        }
        RequestTokenError::Other(_) => OidcError::malformed(Endpoint::Token, "it is empty, or not JSON"),
    }
}

impl ExtraTokenFields for IdTokenField {}

impl fmt::Debug for IdTokenField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdTokenField(hidden)")
    }
}
