//! The commercetools Merchant Center, whose gateway sends the token.

use serde_json::{Value, json};

use crate::playground::people::{PEOPLE, Person};
use crate::playground::platform::kind::{
    JWKS_REFRESH, Kind, PlatformTexts, PublishedKeyKind, SectionValues, TokenRequest,
};

pub static COMMERCETOOLS: Kind = Kind {
    name: "commercetools",
    page_header: None,
    reuse_s: 0,
    published_keys: Some(PublishedKeyKind { algorithm: "RS256", has_kid: true }),
    may_be_unauthorized: false,
    texts: PlatformTexts {
        brand: "Merchant Center",
        simulated: "the Merchant Center of commercetools",
        slot: "custom application",
        token: "exchange token",
        path: &["application page", "gateway", "marketplace-sso", "marketplace"],
        description: "The page asks the gateway of the Merchant Center, and sees no token. The gateway signs an \
                      exchange token for this one address, forwards the request to the service, and passes the JSON \
                      back. The address goes into the frame.",
    },
    claims,
    sections,
};

fn claims(issuer: &str, request: &TokenRequest<'_>) -> Value {
    json!({
        "iss": issuer,
        "aud": request.url,
        "sub": request.person.uuid,
        "type": "exchange",
        format!("{issuer}/claims/project_key"): request.person.project_key,
        format!("{issuer}/claims/user_permissions"): permissions(request.person),
        "iat": request.now_s,
        "exp": request.expires_after(60),
    })
}

/// The user's Merchant Center permissions.
fn permissions(person: &Person) -> Vec<&'static str> {
    let of_group = |group: &&str| match *group {
        "admins" => "ManageProjectSettings",
        "buyers" => "ManageProducts",
        _ => "ViewOrders",
    };
    person.groups.iter().map(of_group).collect()
}

fn sections(SectionValues { keys_origin, .. }: &SectionValues<'_>) -> String {
    let projects: Vec<String> = PEOPLE.iter().map(|person| format!("{:?}", person.project_key)).collect();
    let projects = projects.join(", ");
    format!(
        r#"[identity]
kind = "commercetools"
issuer = "{keys_origin}"
project_keys = [{projects}]
{JWKS_REFRESH}
[claims]
sub = "attributes.project_key ~ ':' ~ id"

[claims.ti]
adn = "attributes.project_key"

[claims.ti.xti]
permissions = "attributes.permissions"
user_tier = "'enterprise' if 'ManageProjectSettings' in attributes.permissions else 'pro' if 'ManageProducts' in attributes.permissions else 'free'"
allowed_installs = "50 if 'ManageProjectSettings' in attributes.permissions else 5 if 'ManageProducts' in attributes.permissions else 2"
"#
    )
}
