//! commercetools: the Merchant Center's gateway forwards requests of its
//! applications to this service, with an exchange token for the user.
//!
//! From the source of the platform's own verifier: the headers, RS256, the issuers, the
//! audience. Documented: `exp` (60 s), `iat`, `sub`, `iss`, `aud`, `type`, the
//! project's key and perhaps permissions, as claims named after the issuer.
//! There is no e-mail. That verifier also accepts what is rejected here: a
//! missing `exp`, `iat`, `sub`, project key or scheme, another `type`, and an
//! unknown version.
//!
//! <https://docs.commercetools.com/merchant-center-customizations/concepts/integrate-with-your-own-api>

mod gateways;
pub mod settings;

use serde_json::{Map, Value, json};

use crate::jwt::verify::{Audience, Validation, VerifyError};
use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Repeated};
use crate::user::{Identifier, User};

pub use gateways::{CLOUDS, Cloud};

/// Which gateways forward requests, and which of their users are accepted.
#[derive(Debug)]
pub struct Commercetools {
    /// The gateways whose tokens are accepted: first the configured one, then, with
    /// [`Choice::ByRequest`], those of [`CLOUDS`].
    pub gateways: Vec<Gateway>,
    /// What selects the gateway of a request.
    pub choice: Choice,
    /// The origin by which the gateway reaches this service.
    pub public_origin: String,
    /// How `aud` is formed.
    pub audience_policy: AudiencePolicy,
    /// The projects whose users are allowed; empty: any.
    pub project_keys: Vec<String>,
}

/// A gateway that signs tokens.
#[derive(Debug)]
pub struct Gateway {
    /// Its cloud; `None` for a custom URL.
    pub cloud: Option<&'static Cloud>,
    /// The version of the forwarding protocol in which it has this URL; `None` for every version.
    pub version: Option<Version>,
    /// `iss`, compared exactly; also the URL below which its keys are.
    pub issuer: String,
}

/// What selects the gateway of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The configuration.
    Configured,
    /// The cloud that the request names.
    ByRequest,
}

/// How `aud` is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudiencePolicy {
    /// Our origin and the request path.
    ForwardUrlFullPath,
    /// Only our origin.
    ForwardUrlOrigin,
}

/// A version of the forwarding protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The older one, in which two gateways have different URLs.
    V1,
    /// The current one.
    V2,
}

/// Names the cloud from which a request comes.
const CLOUD_IDENTIFIER: &str = "x-mc-api-cloud-identifier";

/// Names the version of the forwarding protocol.
const FORWARD_TO_VERSION: &str = "x-mc-api-forward-to-version";

impl Commercetools {
    /// The rules for a gateway's tokens: `common`, with the gateway's issuer and the audience for a
    /// request path.
    pub fn validation(&self, common: &Validation, gateway: &Gateway, path: Option<&str>) -> Validation {
        let audience = match (self.audience_policy, path) {
            (AudiencePolicy::ForwardUrlOrigin, _) | (AudiencePolicy::ForwardUrlFullPath, Some("/")) => {
                Audience::OneOf(vec![self.public_origin.clone()])
            }
            (AudiencePolicy::ForwardUrlFullPath, Some(path)) => {
                Audience::OneOf(vec![format!("{}{path}", self.public_origin)])
            }
            (AudiencePolicy::ForwardUrlFullPath, None) => Audience::WithinOrigin(self.public_origin.clone()),
        };
        Validation { issuer: Some(gateway.issuer.clone()), audience, ..common.clone() }
    }

    /// Whether users of this platform can have this field.
    pub fn can_yield(name: &str) -> bool {
        matches!(
            name.split('.').take(2).collect::<Vec<_>>().as_slice(),
            ["id" | "attributes" | "organization" | "token"]
                | ["attributes", PROJECT_KEY | PERMISSIONS]
                | ["organization", "id"]
                | ["token", _]
        )
    }

    /// The header fields that the gateway of this issuer sends in addition to the token.
    pub fn forwarding_headers(&self, issuer: Option<&str>) -> Vec<(String, String)> {
        let signs = |gateway: &&Gateway| Some(gateway.issuer.as_str()) == issuer;
        let gateway = self.gateways.iter().find(signs).or(self.gateways.first());
        let cloud = gateway.and_then(|gateway| gateway.cloud).and_then(|cloud| cloud.names.first());
        let version = match gateway.and_then(|gateway| gateway.version) {
            Some(Version::V1) => "v1",
            Some(Version::V2) | None => "v2",
        };
        vec![
            (CLOUD_IDENTIFIER.to_owned(), cloud.copied().unwrap_or("custom").to_owned()),
            (FORWARD_TO_VERSION.to_owned(), version.to_owned()),
        ]
    }

    /// The gateway that forwarded a request.
    pub fn gateway(&self, headers: &Headers<'_>) -> Result<&Gateway, Refusal> {
        let cloud = required_header(headers, CLOUD_IDENTIFIER)?;
        let version = match required_header(headers, FORWARD_TO_VERSION)? {
            b"v1" => Version::V1,
            b"v2" => Version::V2,
            _ => return Err(Reason::InvalidToken.because("X-MC-API-Forward-To-Version is neither v1 nor v2")),
        };
        let configured = self.gateways.first().and_then(|gateway| gateway.cloud);
        let chosen = match self.choice {
            Choice::Configured => configured,
            // an unknown cloud falls back to the configured gateway, whose keys decide
            Choice::ByRequest => CLOUDS.iter().find(|known| known.has_name(cloud)).or(configured),
        };
        let fits =
            |gateway: &&Gateway| gateway.cloud == chosen && gateway.version.is_none_or(|own| own == version);
        let gateway = self.gateways.iter().find(fits);
        gateway.ok_or_else(|| Reason::InvalidToken.because("no gateway is known for this cloud and version"))
    }

    /// The user of verified claims. The names of the platform's own claims begin with the issuer.
    pub fn user(&self, issuer: &str, claims: Map<String, Value>) -> Result<User, Refusal> {
        let wrong = |what: &str| VerifyError::WrongClaim(what.to_owned());
        let claim = |name: &str| claims.get(&format!("{issuer}/claims/{name}"));
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).and_then(|text| Identifier::parse(text).ok())
        };
        let id = text(claims.get("sub")).ok_or_else(|| wrong("sub"))?;
        let project_key = text(claim("project_key")).ok_or_else(|| wrong("project_key"))?;
        let permissions = match claim("user_permissions") {
            None => None,
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => Some(all.clone()),
            Some(_) => return Err(wrong("user_permissions").into()),
        };
        let is_ours = self.project_keys.iter().any(|own| own == project_key.as_str());
        if !self.project_keys.is_empty() && !is_ours {
            return Err(Reason::NotAllowed.because("the project is not in identity.project_keys"));
        }
        let mut user = User { id: Some(id), ..User::default() };
        user.attributes.insert(PROJECT_KEY.into(), json!(project_key.as_str()));
        user.attributes.extend(permissions.map(|all| (PERMISSIONS.into(), Value::Array(all))));
        user.organization.id = Some(project_key);
        user.token = claims.into_iter().collect();
        Ok(user)
    }
}

/// The attribute that holds the project's key.
pub const PROJECT_KEY: &str = "project_key";

/// The attribute that holds the user's permissions.
pub const PERMISSIONS: &str = "permissions";

/// The value of a header that the gateway always sends, once and not empty.
fn required_header<'a>(headers: &Headers<'a>, name: &str) -> Result<&'a [u8], Refusal> {
    match headers.only(name) {
        Ok(Some(value)) if !value.trim_ascii().is_empty() => Ok(value),
        Ok(_) => Err(Reason::InvalidToken.because(format!("{name} is missing; the gateway always sends it"))),
        Err(Repeated) => Err(Reason::AmbiguousIdentity.because(format!("{name} is repeated"))),
    }
}
