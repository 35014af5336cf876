//! The parts of the marketplace's URL that come only from the configuration.

use std::fmt;

use url::Url;

/// The base URL of marketplaces: scheme, host, optional port and path, without a
/// trailing `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// The account's slug, assigned by Pandium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(String);

/// Why a base URL is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseUrl {
    /// Not an absolute URL.
    #[error("it is not an absolute URL: {0}")]
    NotAUrl(url::ParseError),
    /// Neither http nor https, or no host.
    #[error("its scheme is not https")]
    WrongScheme,
    /// It has credentials, a query or a fragment.
    #[error("it has a user name, a query or a fragment")]
    ExtraParts,
}

/// A string is not an account's slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a slug: letters, digits, '-', '_' and '.', at most 100 of them")]
pub struct BadAccount;

impl BaseUrl {
    /// Parses a base URL.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let url = Url::parse(text).map_err(BadBaseUrl::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(BadBaseUrl::WrongScheme);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(BadBaseUrl::ExtraParts);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a trailing `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port; the origin of the marketplace's messages.
    pub fn origin(&self) -> &str {
        let host = self.0.find("://").map_or(0, |at| at + "://".len());
        let end = self.0.get(host..).and_then(|rest| rest.find('/')).map_or(self.0.len(), |at| host + at);
        self.0.get(..end).unwrap_or(&self.0)
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl Account {
    /// Parses a slug.
    pub fn parse(text: &str) -> Result<Self, BadAccount> {
        let is_slug = (1..=100).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && text.bytes().any(|byte| byte != b'.');
        is_slug.then(|| Self(text.to_owned())).ok_or(BadAccount)
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://imp.pandium.io/", Some("https://imp.pandium.io"))]
    #[case("http://127.0.0.1:9000/x/", Some("http://127.0.0.1:9000/x"))]
    #[case("https://user@imp.pandium.io", None)]
    #[case("https://imp.pandium.io/?a=b", None)]
    #[case("javascript:alert(1)", None)]
    #[case("imp.pandium.io", None)]
    fn a_base_url_is_parsed(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(BaseUrl::parse(text).ok().as_ref().map(BaseUrl::as_str), expected);
    }

    #[rstest]
    #[case("acme", true)]
    #[case("acme-2_b.c", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("a/b", false)]
    #[case("a?b", false)]
    fn an_account_is_a_slug(#[case] text: &str, #[case] is_valid: bool) {
        assert_eq!(Account::parse(text).is_ok(), is_valid);
    }
}
