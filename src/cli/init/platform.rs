//! The platforms that `init` knows, each with its own entrance.

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

/// A platform's sections of the configuration.
struct Sections {
    /// The name of the entrance.
    entrance: &'static str,
    /// The value of `identity.kind`.
    kind: &'static str,
    /// The other lines of its `[identity]`, each with its line feed.
    identity: &'static str,
    /// The expression of `claims.sub`.
    subject: &'static str,
    /// Sections before the entrance.
    before: &'static str,
    /// More claims of the entrance.
    claims: &'static str,
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
            // also the path of its webhooks
            Self::Mittwald => "/mittwald/",
            Self::Appdirect | Self::Commercetools | Self::Caf => self.path(),
        }
    }

    /// Its sections of the configuration. Values that have to be replaced are placeholders.
    pub fn config(self) -> String {
        let Sections { entrance, kind, identity, subject, before, claims } = self.sections();
        let path = self.path();
        format!(
            "{before}\n[entrances.{entrance}]\npath = {path:?}\n\n\
             [entrances.{entrance}.identity]\nkind = {kind:?}\n{identity}\n\
             [entrances.{entrance}.claims]\nsub = {subject:?}\n{claims}"
        )
    }

    const fn sections(self) -> Sections {
        match self {
            Self::Appdirect => Sections {
                entrance: "appdirect",
                kind: "appdirect",
                identity: r#"marketplace_url = "https://replace-me.invalid" # replace: the marketplace's origin
jwks_url = "https://replace-me.invalid/keys"   # replace: request it from AppDirect
tenant = "replace-me"                          # replace: the tokens' tenant, exactly
"#,
                subject: "id",
                before: "",
                claims: "",
            },
            Self::Commercetools => Sections {
                entrance: "merchant_center",
                kind: "commercetools",
                identity: r#"issuer = "https://replace-me.invalid"          # replace: gcp-au, gcp-eu, gcp-us, aws-eu, aws-us, or a gateway's URL
project_keys = ["replace-me"]                  # replace: the allowed projects
"#,
                subject: "attributes.project_key ~ ':' ~ id",
                before: "",
                claims: "",
            },
            Self::Caf => Sections {
                entrance: "verified",
                kind: "caf",
                identity: r#"client_secret_file = "/run/secrets/caf"
policy_id = "replace-me"                       # replace: the policy that verifies your users
"#,
                subject: "id",
                before: "",
                claims: "",
            },
            Self::Mittwald => Sections {
                entrance: "mittwald",
                kind: "mittwald",
                identity: "",
                subject: "id",
                before: "\n[mittwald]\n\
                         extension_ids = [\"00000000-0000-0000-0000-000000000000\"] # replace: the id of your extension\n",
                claims: "\n[entrances.mittwald.claims.ti]\naid = \"attributes.context_id\"\n",
            },
        }
    }
}
