//! An AppDirect marketplace.

use serde_json::{Value, json};

use crate::playground::platform::kind::{
    JWKS_REFRESH, Kind, PlatformTexts, PublishedKeyKind, SectionValues, TokenRequest,
};
use crate::playground::service_config::PLAN_BY_DOMAIN;

pub static APP_DIRECT: Kind = Kind {
    name: "appdirect",
    page_header: Some("MP-Authorization"),
    reuse_s: 180,
    published_keys: Some(PublishedKeyKind { algorithm: "RS256", has_kid: false }),
    may_be_unauthorized: false,
    texts: PlatformTexts {
        brand: "Northgate Marketplace",
        simulated: "an AppDirect marketplace",
        slot: "platform extension",
        token: "secure token",
        path: &["extension page", "marketplace-sso", "marketplace"],
        description: "The page gets a secure token from the platform, and asks the service for the address by \
                      script, with the token in MP-Authorization. The page is of another origin, so that the browser \
                      first asks by itself whether it may. The address goes into the frame.",
    },
    claims,
    sections,
};

const TENANT: &str = "northgate";

fn claims(_issuer: &str, request: &TokenRequest<'_>) -> Value {
    json!({
        "sub": request.person.uuid,
        "name": request.person.email,
        "tenant": TENANT,
        "iat": request.now_s,
        "exp": request.expires_after(300),
    })
}

fn sections(SectionValues { page_origin, keys_origin, .. }: &SectionValues<'_>) -> String {
    format!(
        r#"[identity]
kind = "appdirect"
marketplace_url = "{page_origin}"
jwks_url = "{keys_origin}/keys"
tenant = "{TENANT}"
{JWKS_REFRESH}
[claims]
sub = "id"

[claims.ti]
udn = "email"
aid = "attributes.tenant"

# the token has no plan, but the domains of companies are known
[claims.ti.xti]
{PLAN_BY_DOMAIN}
"#
    )
}
