//! Issuers with well-known settings, as data. `{name}` in a value is replaced by the preset's own
//! setting of that name.

use crate::jwt::token_type::{DEFAULT_TYPES, TokenType};

/// The values that distinguish an issuer.
#[derive(Debug)]
pub struct IssuerPreset {
    /// Its name in the configuration.
    pub name: &'static str,
    /// A setting that is inserted into the values below.
    pub setting: Option<Setting>,
    /// The header that carries the token.
    pub header: &'static str,
    /// The authentication scheme before the token, such as `Bearer`.
    pub scheme: Option<&'static str>,
    /// The names of the algorithms that it signs with.
    pub algorithms: &'static [&'static str],
    /// What `typ` may be.
    pub types: &'static [TokenType],
    /// `iss`; `None` if it differs between installations.
    pub issuer: Option<&'static str>,
    /// `aud`; `None` if it differs between installations.
    pub audience: Option<&'static str>,
    /// The JWKS URL; `None` if it differs between installations.
    pub jwks_url: Option<&'static str>,
    /// Tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// Claims that must have exactly this value.
    pub required_claims: &'static [(&'static str, &'static str)],
    /// A claim that only users' tokens have, not those of services.
    pub person_claim: Option<&'static str>,
}

/// A setting of one preset only: a host name, or its first label, that differs between the issuer's
/// customers.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What to write as its value, for error messages.
    pub help: &'static str,
    /// Whether it is a whole host with an optional port.
    pub is_host: bool,
}

/// Any other issuer: whatever differs between issuers has no default.
pub const BEARER: IssuerPreset = IssuerPreset {
    name: "bearer",
    setting: None,
    header: "authorization",
    scheme: Some("Bearer"),
    algorithms: &["RS256"],
    types: &DEFAULT_TYPES,
    issuer: None,
    audience: None,
    jwks_url: None,
    leeway_s: 0,
    required_claims: &[],
    person_claim: None,
};

/// All presets of known issuers.
pub const ALL: [IssuerPreset; 5] = [CLOUDFLARE_ACCESS, GOOGLE_IAP, POMERIUM, AUTHENTIK, OATHKEEPER];

/// <https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/>
///
/// A service token has `common_name` and no `email`: it is rejected.
const CLOUDFLARE_ACCESS: IssuerPreset = IssuerPreset {
    name: "cloudflare_access",
    setting: Some(Setting {
        name: "team",
        help: "write the team's name, the part before .cloudflareaccess.com",
        is_host: false,
    }),
    header: "cf-access-jwt-assertion",
    scheme: None,
    algorithms: &["RS256"],
    types: &DEFAULT_TYPES,
    issuer: Some("https://{team}.cloudflareaccess.com"),
    audience: None,
    jwks_url: Some("https://{team}.cloudflareaccess.com/cdn-cgi/access/certs"),
    leeway_s: 0,
    required_claims: &[("type", "app")],
    person_claim: Some("email"),
};

/// <https://cloud.google.com/iap/docs/signed-headers-howto>
///
/// Google asks for 30 seconds of leeway. Health probes carry no token.
const GOOGLE_IAP: IssuerPreset = IssuerPreset {
    name: "google_iap",
    setting: None,
    header: "x-goog-iap-jwt-assertion",
    scheme: None,
    algorithms: &["ES256"],
    types: &DEFAULT_TYPES,
    issuer: Some("https://cloud.google.com/iap"),
    audience: None,
    jwks_url: Some("https://www.gstatic.com/iap/verify/public_key-jwk"),
    leeway_s: 30,
    required_claims: &[],
    person_claim: None,
};

/// <https://www.pomerium.com/docs/capabilities/getting-users-identity>
///
/// `iss` and `aud` are both the host of the route, without a scheme.
const POMERIUM: IssuerPreset = IssuerPreset {
    name: "pomerium",
    setting: Some(Setting {
        name: "route_host",
        help: "write the route's host, such as \"sso.example.com\"",
        is_host: true,
    }),
    header: "x-pomerium-jwt-assertion",
    scheme: None,
    algorithms: &["ES256"],
    types: &DEFAULT_TYPES,
    issuer: Some("{route_host}"),
    audience: Some("{route_host}"),
    jwks_url: Some("https://{route_host}/.well-known/pomerium/jwks.json"),
    leeway_s: 0,
    required_claims: &[],
    person_claim: None,
};

/// <https://docs.goauthentik.io/add-secure-apps/providers/proxy/>
///
/// It also sends a JWKS URL (`X-authentik-meta-jwks`), which is never used.
const AUTHENTIK: IssuerPreset = IssuerPreset {
    name: "authentik",
    setting: None,
    header: "x-authentik-jwt",
    scheme: None,
    algorithms: &["RS256", "ES256"],
    types: &DEFAULT_TYPES,
    issuer: None,
    audience: None,
    jwks_url: None,
    leeway_s: 0,
    required_claims: &[],
    person_claim: None,
};

/// The mutator `id_token`: <https://www.ory.com/docs/oathkeeper/pipeline/mutator#id_token>
const OATHKEEPER: IssuerPreset = IssuerPreset {
    name: "oathkeeper",
    setting: None,
    header: "authorization",
    scheme: Some("Bearer"),
    algorithms: &["RS256", "ES256", "EdDSA"],
    types: &DEFAULT_TYPES,
    issuer: None,
    audience: None,
    jwks_url: None,
    leeway_s: 0,
    required_claims: &[],
    person_claim: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::key_set::parse_algorithm;

    #[test]
    fn a_preset_uses_only_its_setting_and_known_algorithms() {
        for preset in &ALL {
            for text in [preset.issuer, preset.audience, preset.jwks_url].into_iter().flatten() {
                let filled = preset
                    .setting
                    .as_ref()
                    .map_or(text.to_owned(), |setting| text.replace(&format!("{{{}}}", setting.name), "x"));
                assert!(!filled.contains(['{', '}']), "{}: {text}", preset.name);
            }
            assert!(preset.algorithms.iter().all(|name| parse_algorithm(name).is_some()), "{}", preset.name);
            assert_eq!(preset.header, preset.header.to_ascii_lowercase());
        }
    }
}
