//! Any OpenID Connect issuer, found by its discovery document.

use serde_json::{Value, json};

use crate::playground::platform::kind::{
    JWKS_REFRESH, Kind, PlatformTexts, PublishedKeyKind, SectionValues, TokenRequest,
};
use crate::playground::service_config::ALLOWED_INSTALLS;

pub static BEARER: Kind = Kind {
    name: "bearer",
    page_header: Some("Authorization"),
    reuse_s: 0,
    published_keys: Some(PublishedKeyKind { algorithm: "ES256", has_kid: true }),
    may_be_unauthorized: false,
    texts: PlatformTexts {
        brand: "Larkspur",
        simulated: "a single-page app and its OpenID Connect issuer",
        slot: "single-page app",
        token: "access token",
        path: &["single-page app", "marketplace-sso", "marketplace"],
        description: "The app has a token of the issuer and sends it in Authorization. The service found the keys \
                      by the issuer's discovery document. What the token says of the person becomes what the \
                      marketplace is told.",
    },
    claims,
    sections,
};

const AUDIENCE: &str = "marketplace-sso";

fn claims(issuer: &str, request: &TokenRequest<'_>) -> Value {
    let person = request.person;
    json!({
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": person.id,
        "email": person.email,
        "email_verified": true,
        "name": person.name,
        "preferred_username": person.username,
        "groups": person.groups,
        "org_id": person.organization_id,
        "org_name": person.organization_name,
        "plan": person.plan.as_str(),
        "iat": request.now_s,
        "exp": request.expires_after(300),
    })
}

fn sections(SectionValues { page_origin, keys_origin, .. }: &SectionValues<'_>) -> String {
    format!(
        r#"[identity]
kind = "bearer"
issuer = "{keys_origin}"
audience = "{AUDIENCE}"
algorithms = ["ES256"]
{JWKS_REFRESH}
[identity.user]
organization.id = "org_id"
organization.name = "org_name"
attributes.plan = "plan"

[claims]
sub = "id"

[claims.ti.xti]
{ALLOWED_INSTALLS}

[embed]
parents = ["{page_origin}"]
"#
    )
}
