//! The sections on identity, claims and embedding for each platform, as an
//! operator would write them.

use super::kind::Kind;
use crate::playground::people::PEOPLE;

/// The tenant that the stand-in for AppDirect names.
pub const TENANT: &str = "northgate";

/// The policy by which the stand-in for CAF attests people.
pub const POLICY: &str = "policy-1f7c";

/// Whom the stand-in for an issuer signs for.
pub const AUDIENCE: &str = "marketplace-sso";

/// Where the platform is, and what it shares with the service.
pub struct Platform<'a> {
    /// The origin of its page.
    pub page_origin: &'a str,
    /// The origin of its key server; empty where it publishes none.
    pub keys_origin: &'a str,
    /// What it signs with, where it publishes no keys.
    pub client_secret: &'a str,
}

/// The sections.
pub fn sections(kind: Kind, platform: &Platform<'_>) -> String {
    let Platform { page_origin, keys_origin, client_secret } = platform;
    let embed = format!("[embed]\nparents = [\"{page_origin}\"]\n");
    match kind {
        Kind::AppDirect => format!(
            r#"[identity]
kind = "appdirect"
marketplace_url = "{page_origin}"
jwks_url = "{keys_origin}/keys"
tenant = "{TENANT}"
{PACE}
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
{PACE}
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
{PACE}
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

/// How often the platform is asked for its keys.
const PACE: &str = "\
# 300 and 30 unless set; short, so that there is something to see
jwks_refresh_interval_s = 10
jwks_min_refresh_interval_s = 2
";
