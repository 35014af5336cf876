//! The section `[identity]` with `kind = "oidc"`.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use oauth2::RedirectUrl;

use super::http_client::HttpClient;
use super::id_token::TokenRules;
use super::metadata::{ConfiguredEndpoints, Discovery, Metadata, MetadataSource};
use super::prompt::Prompt;
use super::token_request::{ClientAuthentication, Registration};
use super::user_info::AccessTokenHeader;
use super::{OidcClient, UserIdentification, client_settings};
use crate::authn::token::key_settings::{Fetching, discovery_document};
use crate::authn::token::settings::{self as token, STANDARD_CLAIMS};
use crate::jwt::jwks::InitialFetch;
use crate::jwt::jwks::fetch::KeyUrl;
use crate::jwt::key_set::is_symmetric;
use crate::settings::{BuiltIn, Collector, Problems, Reported, Section, read_text};

/// A provider of plain OAuth 2.0, whose API is asked for the user.
struct OAuthPreset {
    /// The origin of its URLs.
    issuer: &'static str,
    authorization: &'static str,
    token: &'static str,
    user: &'static str,
    header: AccessTokenHeader,
    /// The claim that identifies the user.
    subject: &'static str,
    scopes: &'static [&'static str],
    claims: &'static [(&'static str, &'static str)],
}

/// <https://developer.mittwald.de/docs/v2/contribution/reference/api>,
/// <https://developer.mittwald.de/docs/v2/contribution/reference/oauth2>
///
/// Authorization code flow with PKCE S256 only; a confidential client authenticates by HTTP Basic,
/// never in the body. Neither the scope that the look-up needs nor the refresh grant is documented,
/// although a refresh token is issued.
static MITTWALD: OAuthPreset = OAuthPreset {
    issuer: "https://api.mittwald.de",
    authorization: "/v2/oauth2/authorize",
    token: "/v2/oauth2/token",
    user: "/v2/users/self",
    header: AccessTokenHeader::Named("x-access-token"),
    subject: "userId",
    scopes: &["user:read"],
    claims: &[("id", "userId"), ("email", "email"), ("name", "person.firstName ~ ' ' ~ person.lastName")],
};

/// The presets.
static PRESETS: [(&str, &OAuthPreset); 1] = [("mittwald", &MITTWALD)];

/// The algorithms that are accepted by default.
const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

/// The tolerated clock difference by default, in seconds. An ID token is verified milliseconds after it was
/// signed, so clocks that differ by a fraction of a second would already matter.
const LEEWAY_S: u64 = 5;

const URL_HELP: &str = "write an https URL, such as \"https://id.example.com/oauth2/authorize\"";

/// Reads the section. `redirect_uri` is `None` if `server.public_url` is not set.
pub(crate) fn read(section: &Section<'_>, redirect_uri: Option<&str>) -> Result<OidcClient, Reported> {
    // the built-in default of `preset` is one of proxy_headers
    let preset = if section.is_built_in("preset") {
        None
    } else {
        section.or_default("preset", None, |section| section.choice_of_form("preset", &PRESETS).map(Some))?
    };
    let redirect_uri = read_redirect_uri(section, redirect_uri);
    let client_id =
        section.nonempty_text("client_id", "write the id under which the provider knows this service");
    let authentication = client_settings::authentication(section, preset.is_some());
    let scopes = scopes(section, preset);
    let prompt = section.or_default("prompt", None, |section| {
        let choices = Prompt::ALL.map(|prompt| (prompt.name(), prompt));
        section.choice("prompt", &choices).map(Some)
    });
    let issuer = issuer(section, preset);
    let endpoints = endpoints(section);
    let help =
        "write the URL of a page, as it is registered at the provider, such as \"https://app.example.com/\"";
    let post_logout = section.optional("post_logout_redirect_uri", help, |text| {
        // kept as it is written, because the provider compares strings
        KeyUrl::parse(text).map(|_| text.to_owned())
    });
    let claims = preset.map_or(STANDARD_CLAIMS.as_slice(), |preset| preset.claims);
    let mapping = token::mapping(section, claims);
    let fetching = Fetching::read(section);
    let open_id = preset.is_none().then(|| OpenIdSettings::read(section)).transpose();
    let ((url, issuer), client_id, authentication) = (issuer?, client_id?, authentication?);
    let (endpoints, fetching) = (endpoints?, fetching?);
    let (identification, metadata) = match (preset, open_id?) {
        (Some(preset), _) => look_up(preset, &url, endpoints),
        (None, Some(own)) => {
            let method = match &authentication {
                ClientAuthentication::None => None,
                method => Some(method.name()),
            };
            let metadata = own.metadata(section, &issuer, method, endpoints);
            (own.identification(section, &issuer, client_id.clone(), &fetching)?, metadata?)
        }
        (None, None) => return Err(section.report("preset", "it is not known", "leave it out")),
    };
    Ok(OidcClient {
        registration: Registration { issuer, client_id, authentication, redirect_uri: redirect_uri? },
        metadata,
        scopes: scopes?,
        prompt: prompt?,
        post_logout_redirect_uri: post_logout?,
        identification,
        mapping: mapping?,
        http: HttpClient::new(fetching.fetcher().clone(), url.is_loopback()),
    })
}

impl OidcClient {
    /// Reads TOML with only the section `[identity]`, for programs that use the client without the
    /// service. Its key `kind` is not read.
    pub fn from_toml(text: &str, redirect_uri: &str) -> Result<Self, Problems> {
        const NOTHING: BuiltIn = BuiltIn { default: "", overlay_key: "", overlay: |_| None };
        let problems = Collector::default();
        let root = read_text(text, &NOTHING, &problems).map_err(|_reported| problems.take())?;
        let root = Section::root(root, &problems);
        let section = root.section("identity");
        section.value("kind");
        let client = read(&section, Some(redirect_uri));
        section.finish();
        root.finish();
        problems.finish(client).map(|(client, _, _)| client)
    }
}

/// Settings that only an OpenID provider has, not one of plain OAuth 2.0.
struct OpenIdSettings {
    user_info: bool,
    algorithms: Vec<Algorithm>,
    leeway_s: u64,
    max_age_s: Option<u64>,
    jwks_url: Option<String>,
}

impl OpenIdSettings {
    fn read(section: &Section<'_>) -> Result<Self, Reported> {
        for name in ["jwks_refresh_interval_s", "jwks_max_stale_s"] {
            // they are read later; reading them here avoids that they are reported as unknown after
            // a problem in another setting
            section.value(name);
        }
        let user_info = section.or_default("user_info", false, |section| section.flag("user_info"));
        let algorithms = token::algorithms(section, &ALGORITHMS).and_then(|algorithms| {
            if !algorithms.iter().copied().any(is_symmetric) {
                return Ok(algorithms);
            }
            let what = "HMAC is not accepted: any program with the client's secret could sign ID tokens";
            Err(section.report("algorithms", what, "let the provider sign with RS256, ES256 or EdDSA"))
        });
        let leeway_s = token::leeway_s(section, LEEWAY_S);
        let max_age_s = section
            .or_default("max_age_s", None, |section| section.number("max_age_s", 1, 31_536_000).map(Some));
        let jwks_url = section.optional("jwks_url", URL_HELP, |text| Ok::<_, String>(text.to_owned()));
        Ok(Self {
            user_info: user_info?,
            algorithms: algorithms?,
            leeway_s: leeway_s?,
            max_age_s: max_age_s?,
            jwks_url: jwks_url?,
        })
    }

    /// The endpoints: by discovery, unless the authorization and the token endpoint are configured.
    fn metadata(
        &self,
        section: &Section<'_>,
        issuer: &str,
        method: Option<&'static str>,
        endpoints: ConfiguredEndpoints,
    ) -> Result<MetadataSource, Reported> {
        let (Some(authorization), Some(token)) = (&endpoints.authorization, &endpoints.token) else {
            let document = document(section, issuer)?;
            let discovery = Discovery::new(issuer, document, endpoints, method);
            return Ok(MetadataSource::Discovered(Box::new(discovery)));
        };
        let needed = [
            ("jwks_url", self.jwks_url.is_none()),
            ("user_info_url", self.user_info && endpoints.user_info.is_none()),
        ];
        let mut reported = None;
        for (name, _) in needed.into_iter().filter(|(_, is_missing)| *is_missing) {
            let what = "it is not set, and with authorization_url and token_url there is no discovery";
            let help = "set it, or leave out authorization_url and token_url";
            reported = Some(section.report(name, what, help));
        }
        match reported {
            Some(reported) => Err(reported),
            None => Ok(MetadataSource::Configured(Arc::new(Metadata {
                authorization: authorization.clone(),
                token: token.clone(),
                user_info: endpoints.user_info.clone(),
                end_session: endpoints.end_session,
                sends_issuer: false,
            }))),
        }
    }

    fn identification(
        self,
        section: &Section<'_>,
        issuer: &str,
        client_id: String,
        fetching: &Fetching<'_, '_>,
    ) -> Result<UserIdentification, Reported> {
        let keys = match &self.jwks_url {
            Some(url) => fetching.keys_at("jwks_url", url, InitialFetch::OnDemand),
            None => fetching.discovered_keys(issuer, document(section, issuer)?, InitialFetch::OnDemand),
        };
        let rules = TokenRules {
            issuer: issuer.to_owned(),
            client_id,
            algorithms: self.algorithms,
            leeway_s: self.leeway_s,
            max_age_s: self.max_age_s,
            keys: keys?,
        };
        Ok(UserIdentification::IdToken { rules: Box::new(rules), user_info: self.user_info })
    }
}

/// The discovery document's URL of an issuer; `http` only for a loopback address.
fn document(section: &Section<'_>, issuer: &str) -> Result<KeyUrl, Reported> {
    let document = KeyUrl::parse(&discovery_document(issuer));
    document.map_err(|why| section.report("issuer", format!("it cannot be used: {why}"), URL_HELP))
}

/// A provider of plain OAuth 2.0.
fn look_up(
    preset: &OAuthPreset,
    base: &KeyUrl,
    endpoints: ConfiguredEndpoints,
) -> (UserIdentification, MetadataSource) {
    let at = |path: &str| path.split('/').skip(1).fold(base.clone(), |url, segment| url.join(segment));
    let metadata = Metadata {
        authorization: endpoints.authorization.unwrap_or_else(|| at(preset.authorization)),
        token: endpoints.token.unwrap_or_else(|| at(preset.token)),
        user_info: Some(endpoints.user_info.unwrap_or_else(|| at(preset.user))),
        end_session: endpoints.end_session,
        sends_issuer: false,
    };
    let identification = UserIdentification::LookUp { header: preset.header, subject: preset.subject };
    (identification, MetadataSource::Configured(Arc::new(metadata)))
}

fn read_redirect_uri(section: &Section<'_>, text: Option<&str>) -> Result<RedirectUrl, Reported> {
    let redirect_uri = text.and_then(|text| RedirectUrl::new(text.to_owned()).ok());
    redirect_uri.ok_or_else(|| {
        let what = "the provider has to send the browser back, and server.public_url is not set";
        section.report(
            "kind",
            what,
            "set server.public_url to the origin by which browsers reach this service",
        )
    })
}

/// The issuer, as a URL and exactly as written.
fn issuer(section: &Section<'_>, preset: Option<&OAuthPreset>) -> Result<(KeyUrl, String), Reported> {
    const HELP: &str = "write the provider's issuer, exactly, such as \"https://id.example.com\"";
    let text = match preset.filter(|_| !section.has("issuer")) {
        Some(preset) => preset.issuer.to_owned(),
        None => section.nonempty_text("issuer", HELP)?,
    };
    let url = KeyUrl::parse(&text).map_err(|why| why.to_string());
    let url = url.and_then(|url| if text.contains('?') { Err("it has a query".to_owned()) } else { Ok(url) });
    match url {
        Ok(url) => Ok((url, text)),
        Err(why) => Err(section.report("issuer", format!("it cannot be used: {why}"), HELP)),
    }
}

fn endpoints(section: &Section<'_>) -> Result<ConfiguredEndpoints, Reported> {
    let url = |name: &str| section.optional(name, URL_HELP, KeyUrl::parse);
    let (authorization, token) = (url("authorization_url"), url("token_url"));
    let (user_info, end_session) = (url("user_info_url"), url("end_session_url"));
    if let (Ok(authorization), Ok(token)) = (&authorization, &token) {
        let missing = match (authorization, token) {
            (Some(_), None) => Some("token_url"),
            (None, Some(_)) => Some("authorization_url"),
            (Some(_), Some(_)) | (None, None) => None,
        };
        if let Some(missing) = missing {
            let what = "only one of authorization_url and token_url is set";
            return Err(section.report(missing, what, "set both, or neither, so that discovery finds them"));
        }
    }
    Ok(ConfiguredEndpoints {
        authorization: authorization?,
        token: token?,
        user_info: user_info?,
        end_session: end_session?,
    })
}

fn scopes(section: &Section<'_>, preset: Option<&OAuthPreset>) -> Result<Vec<String>, Reported> {
    let standard = preset.map_or(["openid", "profile", "email"].as_slice(), |preset| preset.scopes);
    let help = "write a list of scopes, such as [\"openid\", \"profile\", \"email\"]";
    let standard = standard.iter().map(|scope| (*scope).to_owned()).collect();
    let scopes = section.or_default("scopes", standard, |section| {
        section.all_parsed("scopes", help, |scope| {
            // RFC 6749, 3.3
            let is_token = !scope.is_empty()
                && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
            if is_token { Ok(scope.to_owned()) } else { Err("it is not a scope") }
        })
    })?;
    if preset.is_none() && !scopes.iter().any(|scope| scope == "openid") {
        let what = "it does not contain openid, so the provider would send no ID token";
        return Err(section.report("scopes", what, help));
    }
    Ok(scopes)
}
