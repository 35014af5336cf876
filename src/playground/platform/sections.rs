//! The service's configuration sections on identity, claims and embedding for each
//! platform.

use super::kind::Kind;
use crate::playground::people::PEOPLE;

/// The stand-in AppDirect's tenant.
pub const TENANT: &str = "northgate";

/// The stand-in CAF's policy id.
pub const POLICY: &str = "policy-1f7c";

/// The audience of the stand-in issuer's tokens.
pub const AUDIENCE: &str = "marketplace-sso";

/// The values that differ between runs.
pub struct SectionValues<'a> {
    /// The origin of the platform's page.
    pub page_origin: &'a str,
    /// The origin of its key server; empty if it publishes no keys.
    pub keys_origin: &'a str,
    /// The secret with which it signs, if it publishes no keys.
    pub client_secret: &'a str,
}

/// The sections as TOML.
pub fn sections(kind: Kind, values: &SectionValues<'_>) -> String {
    let SectionValues { page_origin, keys_origin, client_secret } = values;
    let embed = format!("[embed]\nparents = [\"{page_origin}\"]\n");
    match kind {
        Kind::AppDirect => format!(
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
"#
        ),
        Kind::Commercetools => {
            let projects: Vec<String> =
                PEOPLE.iter().map(|person| format!("{:?}", person.project_key)).collect();
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
"#
            )
        }
        Kind::Caf => format!(
            r#"[identity]
kind = "caf"
policy_id = "{POLICY}"
client_secret = "{client_secret}"

[claims]
sub = "id"

[claims.meta]
attempt = "attributes.attempt_id"

{embed}"#
        ),
        Kind::Bearer => format!(
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

{embed}"#
        ),
    }
}

/// How often the service refreshes the keys; shown on the page.
const JWKS_REFRESH: &str = "\
# 300 and 30 unless set; short, so that there is something to see
jwks_refresh_interval_s = 10
jwks_min_refresh_interval_s = 2
";
