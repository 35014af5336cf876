//! The platforms that the playground stands in for, and what differs from one
//! to the other that is neither a token nor a setting: names, places, words.

/// A platform that vouches for its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A marketplace of AppDirect.
    AppDirect,
    /// The Merchant Center of commercetools.
    Commercetools,
    /// CAF, which attests people.
    Caf,
    /// Any issuer of OpenID Connect.
    Bearer,
}

/// What people read about a platform.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Words {
    /// What its front end is called here.
    pub brand: &'static str,
    /// Whom it stands in for.
    pub stands_for: &'static str,
    /// Places in its menu, all but the last of them empty.
    pub menu: &'static [&'static str],
    /// What it calls the place in its page that is ours.
    pub slot: &'static str,
    /// What it calls its token.
    pub token: &'static str,
    /// The way of a request.
    pub path: &'static [&'static str],
    /// The same in sentences.
    pub story: &'static str,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AppDirect, Self::Commercetools, Self::Caf, Self::Bearer];

    /// The word for the command line, the same as `identity.kind`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AppDirect => "appdirect",
            Self::Commercetools => "commercetools",
            Self::Caf => "caf",
            Self::Bearer => "bearer",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The header in which the page brings the token; none where the platform's
    /// gateway brings it.
    pub const fn page_header(self) -> Option<&'static str> {
        match self {
            Self::AppDirect => Some("MP-Authorization"),
            Self::Commercetools => None,
            Self::Caf | Self::Bearer => Some("Authorization"),
        }
    }

    /// For how many seconds the page uses a token again.
    pub const fn reuse_s(self) -> u64 {
        match self {
            Self::AppDirect => 180,
            Self::Commercetools | Self::Caf | Self::Bearer => 0,
        }
    }

    /// What it signs with, if it publishes keys for it.
    pub const fn published_algorithm(self) -> Option<&'static str> {
        match self {
            Self::AppDirect | Self::Commercetools => Some("RS256"),
            Self::Bearer => Some("ES256"),
            Self::Caf => None,
        }
    }

    /// How many keys it publishes from the start.
    pub const fn first_keys(self) -> usize {
        match self {
            Self::Bearer => 3,
            Self::AppDirect | Self::Commercetools | Self::Caf => 1,
        }
    }

    /// What the terminal says: what there is to see.
    pub fn greeting(self) -> String {
        let Words { stands_for, token, .. } = self.words();
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

    /// What people read about it.
    pub const fn words(self) -> &'static Words {
        match self {
            Self::AppDirect => &APP_DIRECT,
            Self::Commercetools => &COMMERCETOOLS,
            Self::Caf => &CAF,
            Self::Bearer => &BEARER,
        }
    }
}

static APP_DIRECT: Words = Words {
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

static COMMERCETOOLS: Words = Words {
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

static CAF: Words = Words {
    brand: "Larkspur Onboarding",
    stands_for: "a page of your own behind CAF",
    menu: &["Documents", "Face check", "Integrations"],
    slot: "after the identity check",
    token: "identity attestation",
    path: &["identity check", "your page", "marketplace-sso", "marketplace"],
    story: "CAF has checked the person and signs an attestation with the secret that it shares with you. The page \
            brings it in Authorization. Somebody who is not authorized is refused, however good the signature is.",
};

static BEARER: Words = Words {
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
    fn a_kind_reads_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.word()), Some(kind));
        }
        assert_eq!(Kind::parse("AppDirect"), None);
    }
}
