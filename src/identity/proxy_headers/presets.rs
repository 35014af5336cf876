//! The fronts we know: which header says what. Data only; the first field of
//! each is its primary one. Names are in lower case, as HTTP/2 writes them.

use super::Encoding::{EncodedWords, Utf8};
use super::{Encoding, Field};

/// What one front hands over.
#[derive(Debug)]
pub struct Preset {
    /// The name in the configuration.
    pub name: &'static str,
    /// Where the front's documentation lists its headers.
    pub documentation: &'static str,
    /// Which header says what; the first is the primary one.
    pub fields: &'static [(Field, &'static str)],
    /// What stands between two groups.
    pub list_separator: char,
    /// How text that is not ASCII is written.
    pub encoding: Encoding,
    /// Every header whose name begins so is an attribute by the rest of it.
    pub attributes_under: Option<&'static str>,
    /// Headers that mean: no user here, whatever else is sent.
    pub refused_with: &'static [&'static str],
}

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

/// Every preset.
pub const ALL: &[Preset] = &[
    Preset {
        name: "oauth2_proxy",
        documentation: "https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview",
        fields: &[
            (Field::Email, "x-forwarded-email"),
            (Field::Id, "x-forwarded-user"),
            (Field::Username, "x-forwarded-preferred-username"),
            (Field::Groups, "x-forwarded-groups"),
        ],
        ..PLAIN
    },
    Preset {
        name: "auth_request",
        documentation: "https://oauth2-proxy.github.io/oauth2-proxy/configuration/integration",
        fields: &[
            (Field::Email, "x-auth-request-email"),
            (Field::Id, "x-auth-request-user"),
            (Field::Username, "x-auth-request-preferred-username"),
            (Field::Groups, "x-auth-request-groups"),
        ],
        ..PLAIN
    },
    Preset {
        name: "authelia",
        documentation: "https://www.authelia.com/integration/trusted-header-sso/introduction",
        fields: &[
            (Field::Username, "remote-user"),
            (Field::Email, "remote-email"),
            (Field::Name, "remote-name"),
            (Field::Groups, "remote-groups"),
        ],
        ..PLAIN
    },
    Preset {
        name: "authentik",
        documentation: "https://docs.goauthentik.io/add-secure-apps/providers/proxy",
        fields: &[
            (Field::Username, "x-authentik-username"),
            (Field::Email, "x-authentik-email"),
            (Field::Name, "x-authentik-name"),
            (Field::Id, "x-authentik-uid"),
            (Field::Groups, "x-authentik-groups"),
        ],
        list_separator: '|',
        ..PLAIN
    },
    Preset {
        name: "vouch",
        documentation: "https://github.com/vouch/vouch-proxy",
        fields: &[
            (Field::Login, "x-vouch-user"),
            (Field::Email, "x-vouch-idp-claims-email"),
            (Field::Name, "x-vouch-idp-claims-name"),
            (Field::Id, "x-vouch-idp-claims-sub"),
            (Field::Groups, "x-vouch-idp-claims-groups"),
        ],
        attributes_under: Some("x-vouch-idp-claims-"),
        ..PLAIN
    },
    Preset {
        name: "tailscale",
        documentation: "https://tailscale.com/kb/1312/serve",
        fields: &[(Field::Login, "tailscale-user-login"), (Field::Name, "tailscale-user-name")],
        encoding: EncodedWords,
        refused_with: &["tailscale-funnel-request"],
        ..PLAIN
    },
    Preset {
        name: "azure",
        documentation: "https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities",
        fields: &[
            (Field::AzurePrincipal, "x-ms-client-principal"),
            (Field::Login, "x-ms-client-principal-name"),
            (Field::Id, "x-ms-client-principal-id"),
        ],
        ..PLAIN
    },
];

const PLAIN: Preset = Preset {
    name: "",
    documentation: "",
    fields: &[],
    list_separator: ',',
    encoding: Utf8,
    attributes_under: None,
    refused_with: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_and_each_preset_names_somebody() {
        for preset in ALL {
            assert!(!preset.fields.is_empty(), "{}", preset.name);
            for (_, name) in preset.fields {
                assert_eq!(*name, name.to_ascii_lowercase(), "{}", preset.name);
            }
        }
    }
}
