//! The section `[identity]` with `kind = "oidc"`.

use std::sync::Arc;

use oauth2::{ClientSecret, RedirectUrl};

use super::http_client::HttpClient;
use super::id_token::TokenRules;
use super::metadata::{ConfiguredEndpoints, Discovery, Metadata, MetadataSource};
use super::token_request::{ClientAuthentication, Registration};
use super::user_info::AccessTokenHeader;
use super::{Identification, OidcClient};
use crate::authn::token::key_settings::{Fetching, discovery_document};
use crate::authn::token::settings::{self as token, STANDARD_CLAIMS};
use crate::jwt::jwks::InitialFetch;
use crate::jwt::jwks::fetch::KeyUrl;
use crate::jwt::key_set::is_symmetric;
use crate::jwt::private_key::PrivateKey;
use crate::settings::{BuiltIn, Collector, Problems, Reported, Section, read_text, secrets};

/// A provider of plain OAuth 2.0, whose users are looked up.
struct OAuthPreset {
    /// What its URLs begin with.
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

/// <https://developer.mittwald.de/docs/v2/contribution/how-to/authentication/>
///
/// Authorization code flow with PKCE S256 only; a confidential client authenticates by HTTP Basic, never
/// in the body. The scope of the look-up is not documented.
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

/// Reads the section. `redirect_uri` is `None` where `server.public_url` is not set.
pub(crate) fn read(section: &Section<'_>, redirect_uri: Option<&str>) -> Result<OidcClient, Reported> {
    let preset =
        section.or_default("preset", None, |section| section.choice("preset", &PRESETS).map(Some))?;
    let redirect_uri = read_redirect_uri(section, redirect_uri);
    let client_id =
        section.nonempty_text("client_id", "write the id under which the provider knows this service");
    let authentication = authentication(section, preset.is_some());
    let scopes = scopes(section, preset);
    let prompt = section.or_default("prompt", None, |section| {
        let choices = ["login", "consent", "select_account"].map(|prompt| (prompt, prompt));
        section.choice("prompt", &choices).map(Some)
    });
    let issuer = issuer(section, preset);
    let endpoints = endpoints(section);
    let claims = preset.map_or(STANDARD_CLAIMS.as_slice(), |preset| preset.claims);
    let mapping = token::mapping(section, claims);
    let fetching = Fetching::read(section);
    let provider = match preset {
        Some(preset) => look_up(preset, &issuer, endpoints),
        None => open_id(section, (&issuer, &client_id, &authentication), endpoints, &fetching),
    };
    let (url, issuer) = issuer?;
    let (identification, metadata) = provider?;
    Ok(OidcClient {
        registration: Registration {
            issuer,
            client_id: client_id?,
            authentication: authentication?,
            redirect_uri: redirect_uri?,
        },
        metadata,
        scopes: scopes?,
        parameters: prompt?.map(|prompt| ("prompt", prompt.to_owned())).into_iter().collect(),
        identification,
        mapping: mapping?,
        http: HttpClient::new(fetching?.fetcher().clone(), url.is_loopback()),
    })
}

impl OidcClient {
    /// Reads TOML with the section `[identity]` alone, for programs that use the client without the
    /// service. Its key `kind` is not read.
    pub fn from_toml(text: &str, redirect_uri: &str) -> Result<Self, Problems> {
        const NOTHING: BuiltIn = BuiltIn { default: "", overlay_key: "", overlay: |_| None };
        let problems = Collector::default();
        let root = read_text(text, &NOTHING, &problems).ok_or_else(|| problems.take())?;
        let root = Section::root(root, &problems);
        let section = root.section("identity");
        section.value("kind");
        let client = read(&section, Some(redirect_uri));
        section.finish();
        root.finish();
        problems.finish(client).map(|(client, _, _)| client)
    }
}

/// An OpenID provider: by discovery, or by URLs.
fn open_id(
    section: &Section<'_>,
    (issuer, client_id, authentication): (
        &Result<(KeyUrl, String), Reported>,
        &Result<String, Reported>,
        &Result<ClientAuthentication, Reported>,
    ),
    endpoints: Result<ConfiguredEndpoints, Reported>,
    fetching: &Result<Fetching<'_, '_>, Reported>,
) -> Result<(Identification, MetadataSource), Reported> {
    let user_info = section.or_default("user_info", false, |section| section.flag("user_info"));
    let algorithms = token::algorithms(section, &ALGORITHMS);
    if algorithms.as_ref().is_ok_and(|all| all.iter().copied().any(is_symmetric)) {
        let what =
            "HMAC algorithms are not accepted: the client's secret would verify tokens as well as sign them";
        section.report("algorithms", what, "let the provider sign with RS256, ES256 or EdDSA");
    }
    let leeway_s = token::leeway_s(section, LEEWAY_S);
    let max_age_s =
        section.or_default("max_age_s", None, |section| section.number("max_age_s", 1, 31_536_000).map(Some));
    let jwks_url = section.optional("jwks_url", URL_HELP, |text| Ok::<_, String>(text.to_owned()));
    let ((_, issuer), fetching, endpoints) = (
        issuer.as_ref().map_err(|reported| *reported)?,
        fetching.as_ref().map_err(|reported| *reported)?,
        endpoints?,
    );
    let (user_info, jwks_url) = (user_info?, jwks_url?);
    let document = KeyUrl::parse(&discovery_document(issuer));
    let document =
        document.map_err(|why| section.report("issuer", format!("it cannot be used: {why}"), URL_HELP))?;
    let keys = match &jwks_url {
        Some(url) => fetching.keys_at("jwks_url", url, InitialFetch::OnDemand),
        None => fetching.discovered_keys(issuer, document.clone(), InitialFetch::OnDemand),
    };
    let metadata = match (&endpoints.authorization, &endpoints.token) {
        (Some(authorization), Some(token)) => {
            let needed = [
                ("jwks_url", jwks_url.is_none()),
                ("user_info_url", user_info && endpoints.user_info.is_none()),
            ];
            for (name, _) in needed.into_iter().filter(|(_, is_missing)| *is_missing) {
                let what = "it is not set, and with authorization_url and token_url there is no discovery";
                section.report(name, what, "set it, or leave out authorization_url and token_url");
            }
            MetadataSource::Configured(Arc::new(Metadata {
                authorization: authorization.clone(),
                token: token.clone(),
                user_info: endpoints.user_info.clone(),
                end_session: endpoints.end_session.clone(),
                sends_issuer: false,
            }))
        }
        _ => {
            let method = match authentication.as_ref().map_err(|reported| *reported)? {
                ClientAuthentication::None => None,
                method => Some(method.name()),
            };
            MetadataSource::Discovered(Discovery::new(issuer, document, endpoints, method))
        }
    };
    let rules = TokenRules {
        issuer: issuer.clone(),
        client_id: client_id.clone()?,
        algorithms: algorithms?,
        leeway_s: leeway_s?,
        max_age_s: max_age_s?,
        keys: keys?,
    };
    Ok((Identification::IdToken { rules: Box::new(rules), user_info }, metadata))
}

/// A provider of plain OAuth 2.0.
fn look_up(
    preset: &OAuthPreset,
    issuer: &Result<(KeyUrl, String), Reported>,
    endpoints: Result<ConfiguredEndpoints, Reported>,
) -> Result<(Identification, MetadataSource), Reported> {
    let (base, _) = issuer.as_ref().map_err(|reported| *reported)?;
    let endpoints = endpoints?;
    let at = |path: &str| path.split('/').skip(1).fold(base.clone(), |url, segment| url.join(segment));
    let metadata = Metadata {
        authorization: endpoints.authorization.unwrap_or_else(|| at(preset.authorization)),
        token: endpoints.token.unwrap_or_else(|| at(preset.token)),
        user_info: Some(endpoints.user_info.unwrap_or_else(|| at(preset.user))),
        end_session: endpoints.end_session,
        sends_issuer: false,
    };
    let identification = Identification::LookUp { header: preset.header, subject: preset.subject };
    Ok((identification, MetadataSource::Configured(Arc::new(metadata))))
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
            return Err(section.report(missing, what, "set both, or none: discovery gives them"));
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    SecretBasic,
    SecretPost,
    PrivateKey,
}

const METHODS: [(&str, Method); 4] = [
    ("none", Method::None),
    ("client_secret_basic", Method::SecretBasic),
    ("client_secret_post", Method::SecretPost),
    ("private_key_jwt", Method::PrivateKey),
];

fn authentication(section: &Section<'_>, is_plain_oauth: bool) -> Result<ClientAuthentication, Reported> {
    let has_secret = section.has("client_secret") || section.has("client_secret_file");
    let has_key = section.has("client_key_file");
    let standard = match (has_secret, has_key) {
        (true, _) => Method::SecretBasic,
        (false, true) => Method::PrivateKey,
        (false, false) => Method::None,
    };
    let methods = if is_plain_oauth { METHODS.get(..2).unwrap_or_default() } else { METHODS.as_slice() };
    let method = section.or_default("client_authentication", standard, |section| {
        section.choice("client_authentication", methods)
    });
    let names =
        ["client_secret", "client_secret_file", "client_secret_encoding", "client_key_file", "client_key_id"];
    for name in names {
        // read, so that each counts as known
        section.value(name);
    }
    let method = method?;
    let unused = match method {
        Method::None => [has_secret.then_some("client_secret"), has_key.then_some("client_key_file")],
        Method::SecretBasic | Method::SecretPost => [None, has_key.then_some("client_key_file")],
        Method::PrivateKey => [has_secret.then_some("client_secret"), None],
    };
    if let Some(name) = unused.into_iter().flatten().next() {
        let name = if section.has(name) { name } else { "client_secret_file" };
        let help = "remove it, or set client_authentication to the method that uses it";
        return Err(section.report(name, "identity.client_authentication does not use it", help));
    }
    match method {
        Method::None => Ok(ClientAuthentication::None),
        Method::SecretBasic => client_secret(section).map(ClientAuthentication::SecretBasic),
        Method::SecretPost => client_secret(section).map(ClientAuthentication::SecretPost),
        Method::PrivateKey => {
            let id = section
                .optional("client_key_id", "write the kid of the key", |id| Ok::<_, String>(id.to_owned()));
            section.require("client_key_file", "write the path of the private key in PEM")?;
            let pem = section.bytes("client_key_file")?;
            let key = PrivateKey::from_pem(&pem, id?).map_err(|why| {
                let help = "give the private key whose public key the provider knows, in PEM";
                section.report("client_key_file", why.to_string(), help)
            })?;
            Ok(ClientAuthentication::PrivateKey(Box::new(key)))
        }
    }
}

fn client_secret(section: &Section<'_>) -> Result<ClientSecret, Reported> {
    const HELP: &str = "give the client's secret at the provider";
    let (name, secret) = secrets::read(section, "client_secret", 1, HELP)?;
    let text = String::from_utf8(secret.expose_bytes().to_vec());
    text.map(ClientSecret::new).map_err(|_| section.report(&name, "it is not text", HELP))
}
