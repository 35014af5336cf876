//! The platforms that the playground simulates, and their names, header
//! fields, keys and page texts. Tokens and settings are elsewhere.

/// A platform that authenticates its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An AppDirect marketplace.
    AppDirect,
    /// The commercetools Merchant Center.
    Commercetools,
    /// CAF identity attestations.
    Caf,
    /// Any OpenID Connect issuer.
    Bearer,
}

/// Page texts about a platform.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlatformTexts {
    /// The name of the sample front end.
    pub brand: &'static str,
    /// The simulated platform.
    pub stands_for: &'static str,
    /// Menu entries; only the last one is a link.
    pub menu: &'static [&'static str],
    /// The platform's term for the part of the page that embeds the marketplace.
    pub slot: &'static str,
    /// The platform's term for its token.
    pub token: &'static str,
    /// The hops of a request, in order.
    pub path: &'static [&'static str],
    /// The same as a paragraph.
    pub story: &'static str,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AppDirect, Self::Commercetools, Self::Caf, Self::Bearer];

    /// The value of `--as`, the same as `identity.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppDirect => "appdirect",
            Self::Commercetools => "commercetools",
            Self::Caf => "caf",
            Self::Bearer => "bearer",
        }
    }

    /// Parses the value of `--as`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The header field in which the page sends the token; `None` where the
    /// platform's gateway sends it.
    pub const fn page_header(self) -> Option<&'static str> {
        match self {
            Self::AppDirect => Some("MP-Authorization"),
            Self::Commercetools => None,
            Self::Caf | Self::Bearer => Some("Authorization"),
        }
    }

    /// Seconds for which the page reuses a token; 0 for never.
    pub const fn reuse_s(self) -> u64 {
        match self {
            Self::AppDirect => 180,
            Self::Commercetools | Self::Caf | Self::Bearer => 0,
        }
    }

    /// The signature algorithm, if the platform publishes keys.
    pub const fn published_algorithm(self) -> Option<&'static str> {
        match self {
            Self::AppDirect | Self::Commercetools => Some("RS256"),
            Self::Bearer => Some("ES256"),
            Self::Caf => None,
        }
    }

    /// The number of keys that it publishes at the start.
    pub const fn initial_keys(self) -> usize {
        match self {
            Self::Bearer => 3,
            Self::AppDirect | Self::Commercetools | Self::Caf => 1,
        }
    }

    /// The text printed in the terminal after the start.
    pub fn greeting(self) -> String {
        let PlatformTexts { stands_for, token, .. } = self.texts();
        let to_try = match self {
            Self::Caf => "Switch \"Not authorized\" on to see a refusal.",
            Self::AppDirect | Self::Commercetools | Self::Bearer => {
                "Rotate its keys, or take its key server down, and nobody is refused."
            }
        };
        format!(
            "It stands for {stands_for}.\n\
             Choose a person: the page shows the {token}, the request, the answer, the\n\
             service's configuration, and the marketplace with what it was told.\n\
             {to_try}"
        )
    }

    /// The page texts.
    pub const fn texts(self) -> &'static PlatformTexts {
        match self {
            Self::AppDirect => &APP_DIRECT,
            Self::Commercetools => &COMMERCETOOLS,
            Self::Caf => &CAF,
            Self::Bearer => &BEARER,
        }
    }
}

static APP_DIRECT: PlatformTexts = PlatformTexts {
    brand: "Northgate Marketplace",
    stands_for: "an AppDirect marketplace",
    menu: &["Products", "Subscriptions", "Invoices", "Integrations"],
    slot: "platform extension",
    token: "secure token",
    path: &["extension page", "marketplace-sso", "marketplace"],
    story: "The page gets a secure token from the platform, and asks the service for the address by script, with \
            the token in MP-Authorization. The page is of another origin, so that the browser first asks by itself \
            whether it may. The address goes into the frame.",
};

static COMMERCETOOLS: PlatformTexts = PlatformTexts {
    brand: "Merchant Center",
    stands_for: "the Merchant Center of commercetools",
    menu: &["Orders", "Products", "Customers", "Integrations"],
    slot: "custom application",
    token: "exchange token",
    path: &["application page", "gateway", "marketplace-sso", "marketplace"],
    story: "The page asks the gateway of the Merchant Center, and sees no token. The gateway signs an exchange \
            token for this one address, forwards the request to the service, and passes the JSON back. The address \
            goes into the frame.",
};

static CAF: PlatformTexts = PlatformTexts {
    brand: "Larkspur Onboarding",
    stands_for: "a page of your own behind CAF",
    menu: &["Documents", "Face check", "Integrations"],
    slot: "after the identity check",
    token: "identity attestation",
    path: &["identity check", "your page", "marketplace-sso", "marketplace"],
    story: "CAF has checked the person and signs an attestation with the secret that it shares with you. The page \
            brings it in Authorization. Somebody who is not authorized is refused, however good the signature is.",
};

static BEARER: PlatformTexts = PlatformTexts {
    brand: "Larkspur",
    stands_for: "a single-page app and its OpenID Connect issuer",
    menu: &["Orders", "Stock", "Shipping", "Integrations"],
    slot: "a view of the app",
    token: "access token",
    path: &["single-page app", "marketplace-sso", "marketplace"],
    story: "The app holds a token of the issuer and brings it in Authorization. The service found the keys by the \
            issuer's discovery document. What the token says of the person becomes what the marketplace is told.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_parses_from_its_string() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("AppDirect"), None);
    }
}
