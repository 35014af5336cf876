//! Known login proxies and their headers. Data only; the first field of each is
//! its primary one. Names are in lower case.

use super::layout::Encoding::{self, EncodedWords, Utf8};
use super::layout::{Field, Layout};
use crate::request::FieldName;

/// The headers of one login proxy.
#[derive(Debug)]
pub struct Preset {
    /// The name in the configuration.
    pub name: &'static str,
    /// The header of each field; the first is the primary one.
    pub fields: &'static [(Field, &'static str)],
    /// The separator between groups.
    pub list_separator: char,
    /// How text that is not ASCII is encoded.
    pub encoding: Encoding,
    /// Headers whose presence means that the request must be refused.
    pub refused_with: &'static [&'static str],
}

/// Every preset.
pub const ALL: &[Preset] = &[
    // https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview
    Preset {
        name: "oauth2_proxy",
        fields: &[
            (Field::Email, "x-forwarded-email"),
            (Field::Id, "x-forwarded-user"),
            (Field::Username, "x-forwarded-preferred-username"),
            (Field::Groups, "x-forwarded-groups"),
        ],
        ..PLAIN
    },
    // https://oauth2-proxy.github.io/oauth2-proxy/configuration/integration
    Preset {
        name: "auth_request",
        fields: &[
            (Field::Email, "x-auth-request-email"),
            (Field::Id, "x-auth-request-user"),
            (Field::Username, "x-auth-request-preferred-username"),
            (Field::Groups, "x-auth-request-groups"),
        ],
        ..PLAIN
    },
    // https://www.authelia.com/integration/trusted-header-sso/introduction
    Preset {
        name: "authelia",
        fields: &[
            (Field::Username, "remote-user"),
            (Field::Email, "remote-email"),
            (Field::Name, "remote-name"),
            (Field::Groups, "remote-groups"),
        ],
        ..PLAIN
    },
    // https://docs.goauthentik.io/add-secure-apps/providers/proxy
    Preset {
        name: "authentik",
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
    // https://github.com/vouch/vouch-proxy
    Preset {
        name: "vouch",
        fields: &[
            (Field::Login, "x-vouch-user"),
            (Field::Email, "x-vouch-idp-claims-email"),
            (Field::Name, "x-vouch-idp-claims-name"),
            (Field::Id, "x-vouch-idp-claims-sub"),
            (Field::Groups, "x-vouch-idp-claims-groups"),
        ],
        ..PLAIN
    },
    // https://tailscale.com/kb/1312/serve
    Preset {
        name: "tailscale",
        fields: &[(Field::Login, "tailscale-user-login"), (Field::Name, "tailscale-user-name")],
        encoding: EncodedWords,
        refused_with: &["tailscale-funnel-request"],
        ..PLAIN
    },
    // https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    Preset {
        name: "azure",
        fields: &[
            (Field::AzurePrincipal, "x-ms-client-principal"),
            (Field::Login, "x-ms-client-principal-name"),
            (Field::Id, "x-ms-client-principal-id"),
        ],
        ..PLAIN
    },
];

const PLAIN: Preset =
    Preset { name: "", fields: &[], list_separator: ',', encoding: Utf8, refused_with: &[] };

impl Preset {
    /// The layout with this proxy's headers.
    pub fn layout(&self) -> Layout {
        let name = |name: &&'static str| FieldName::from_lower_case(name);
        Layout {
            name: self.name,
            fields: self.fields.iter().map(|(field, header)| (field.clone(), name(header))).collect(),
            encoding: self.encoding,
            list_separator: self.list_separator,
            refused_with: self.refused_with.iter().map(name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_fields_in_lower_case() {
        for preset in ALL {
            assert!(!preset.fields.is_empty(), "{}", preset.name);
            for (_, name) in preset.fields {
                assert_eq!(*name, name.to_ascii_lowercase(), "{}", preset.name);
            }
        }
    }
}
