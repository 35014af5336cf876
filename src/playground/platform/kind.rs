//! The differences between the platforms that the playground simulates, as data. The
//! platforms themselves are in [`super::kinds`].

use serde_json::Value;

use crate::playground::people::Person;

/// A platform that authenticates its users.
#[derive(Debug)]
pub struct Kind {
    /// The value of `--as`, the same as `identity.kind`.
    pub name: &'static str,
    /// The header field in which the page sends the token; `None` if the platform's gateway sends
    /// it.
    pub page_header: Option<&'static str>,
    /// Seconds for which the page reuses a token; 0 for never.
    pub reuse_s: u64,
    /// `None` if the platform signs with a secret that it shares with the service.
    pub published_keys: Option<PublishedKeyKind>,
    /// Whether the platform's identity check can fail.
    pub may_be_unauthorized: bool,
    /// The texts about it on the page.
    pub texts: PlatformTexts,
    /// The claims of a token of this issuer, as the platform documents them.
    pub claims: fn(issuer: &str, request: &TokenRequest<'_>) -> Value,
    /// The service's configuration sections on identity, claims and embedding, as TOML.
    pub sections: fn(&SectionValues<'_>) -> String,
}

/// The keys that a platform publishes.
#[derive(Debug)]
pub struct PublishedKeyKind {
    /// The signature algorithm.
    pub algorithm: &'static str,
    /// Whether tokens have a `kid`.
    pub has_kid: bool,
}

/// Page texts about a platform.
#[derive(Debug, serde::Serialize)]
pub struct PlatformTexts {
    /// The name of the sample front end.
    pub brand: &'static str,
    /// The simulated platform.
    pub simulated: &'static str,
    /// The platform's term for the part of the page that embeds the marketplace.
    pub slot: &'static str,
    /// The platform's term for its token.
    pub token: &'static str,
    /// The parties of a request, in order.
    pub path: &'static [&'static str],
    /// A paragraph that describes the path of a request.
    pub description: &'static str,
}

/// A request for a token.
pub struct TokenRequest<'a> {
    pub person: &'a Person,
    /// Whether the identity check succeeded; CAF only.
    pub is_authorized: bool,
    /// The audience; commercetools only.
    pub url: &'a str,
    /// `iat`, in Unix seconds.
    pub now_s: u64,
}

/// The values of the configuration that differ between runs.
pub struct SectionValues<'a> {
    /// The origin of the platform's page.
    pub page_origin: &'a str,
    /// The origin of its key server; empty if it publishes no keys.
    pub keys_origin: &'a str,
    /// The secret with which it signs, if it publishes no keys.
    pub client_secret: &'a str,
}

/// How often the service refreshes the keys; shown on the page.
pub const JWKS_REFRESH: &str = "\
# 300 and 30 unless set; short, so that there is something to see
jwks_refresh_interval_s = 3
jwks_min_refresh_interval_s = 2
";

impl Kind {
    /// The text printed in the terminal after the start.
    pub fn greeting(&self) -> String {
        let PlatformTexts { simulated, token, .. } = self.texts;
        let to_try = if self.may_be_unauthorized {
            "Switch \"Not authorized\" on to see a refusal."
        } else {
            "Rotate its keys, or take its key server down, and no user is refused."
        };
        format!(
            "It simulates {simulated}.\n\
             Choose a person: the page shows the {token}, the request, the answer, the\n\
             service's configuration, and the marketplace with what it was told.\n\
             {to_try}"
        )
    }
}

impl TokenRequest<'_> {
    /// `exp` of a token that is valid for a number of seconds.
    pub const fn expires_after(&self, seconds: u64) -> u64 {
        self.now_s.saturating_add(seconds)
    }
}
