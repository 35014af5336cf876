//! The platforms that `init` knows, each with an entrance of its own.

use clap::ValueEnum;

/// A platform whose users sign on by its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Platform {
    /// AppDirect
    Appdirect,
    /// The Merchant Center of commercetools
    Commercetools,
    /// CAF
    Caf,
    /// An extension of mittwald's mStudio
    Mittwald,
}

impl Platform {
    /// The path of its entrance.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Appdirect => "/appdirect/pandium-sso",
            Self::Commercetools => "/merchant-center/pandium-sso",
            Self::Caf => "/verified/pandium-sso",
            Self::Mittwald => "/mittwald/pandium-sso",
        }
    }

    /// The prefix of the paths to pass on to the service.
    pub const fn proxied_prefix(self) -> &'static str {
        match self {
            // its webhooks too
            Self::Mittwald => "/mittwald/",
            Self::Appdirect | Self::Commercetools | Self::Caf => self.path(),
        }
    }

    /// Its sections of the configuration.
    pub const fn config(self) -> &'static str {
        match self {
            Self::Appdirect => {
                r#"
[entrances.appdirect]
path = "/appdirect/pandium-sso"

[entrances.appdirect.identity]
kind = "appdirect"
marketplace_url = "https://marketplace.example.com" # replace: the marketplace's origin
jwks_url = "https://marketplace.example.com/keys"   # replace: request it from AppDirect
tenant = "acme-partner"                             # replace: the tokens' tenant, exactly

[entrances.appdirect.claims]
sub = "id"
"#
            }
            Self::Commercetools => {
                r#"
[entrances.merchant_center]
path = "/merchant-center/pandium-sso"

[entrances.merchant_center.identity]
kind = "commercetools"
issuer = "gcp-eu"                         # replace: gcp-au, gcp-eu, gcp-us, aws-eu, aws-us, or a gateway's URL
project_keys = ["acme-prod"]              # replace: the allowed projects

[entrances.merchant_center.claims]
sub = "attributes.project_key ~ ':' ~ id"
"#
            }
            Self::Caf => {
                r#"
[entrances.verified]
path = "/verified/pandium-sso"

[entrances.verified.identity]
kind = "caf"
client_secret_file = "/run/secrets/caf"
policy_id = "8f14e45f"                    # replace: the policy that verifies your users

[entrances.verified.claims]
sub = "id"
"#
            }
            Self::Mittwald => {
                r#"
[mittwald]
extension_ids = ["018f2c4e-0000-7000-8000-000000000001"] # replace: the id of your extension

[entrances.mittwald]
path = "/mittwald/pandium-sso"

[entrances.mittwald.identity]
kind = "mittwald"

[entrances.mittwald.claims]
sub = "id"

[entrances.mittwald.claims.ti]
aid = "attributes.context_id"
"#
            }
        }
    }
}
