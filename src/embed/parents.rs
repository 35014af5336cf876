//! The origins that may frame the service: parsed from the configuration, and
//! serialized into `frame-ancestors` from the parsed values.

use std::fmt;

use url::Url;

/// One allowed parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// An origin: scheme, host, port; for web apps, and for app shells with a host
    /// (`capacitor://localhost`).
    Origin(String),
    /// All subdomains of a domain (`https://*.example.com`).
    Subdomains {
        /// `https://`, including `://`.
        scheme: String,
        /// `.example.com`, including the leading dot and any port.
        suffix: String,
    },
    /// A scheme without hosts (`file:`), for desktop app shells.
    Scheme(String),
}

/// All allowed parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parents {
    all: Vec<Parent>,
}

/// Why a parent is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadParent {
    /// Not an origin.
    #[error("it is not an origin: expected scheme, host and optional port, such as https://app.example.com")]
    NotAnOrigin,
    /// A URL with more than an origin.
    #[error("it is more than an origin: remove the path, the query and the user")]
    MoreThanAnOrigin,
    /// A scheme that parents cannot have.
    #[error(
        "its scheme is not allowed: expected http or https with a host, or one of a desktop or \
         mobile shell (app, capacitor, capacitor-electron, file, ionic, tauri)"
    )]
    Scheme,
    /// `*` at another position than the first label.
    #[error("'*' may only stand for the first label of a host, such as https://*.example.com")]
    Wildcard,
}

/// Schemes of desktop and mobile app shells. Any other scheme without a host would
/// allow all web pages, or pages that any page can create (`blob:`, `data:`,
/// `filesystem:`).
const SHELL_SCHEMES: [&str; 6] = ["app", "capacitor", "capacitor-electron", "file", "ionic", "tauri"];

impl Parent {
    /// Parses a parent; schemes and hosts are case-insensitive.
    pub fn parse(text: &str) -> Result<Self, BadParent> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadParent::NotAnOrigin);
        }
        let text = text.to_ascii_lowercase();
        if let Some(scheme) = text.strip_suffix(':') {
            let is_shell = SHELL_SCHEMES.contains(&scheme);
            return is_shell.then(|| Self::Scheme(scheme.to_owned())).ok_or(BadParent::Scheme);
        }
        if let Some((scheme, host)) = text.split_once("://*.") {
            let one = Self::parse(&format!("{scheme}://{host}"))?;
            return match one {
                Self::Origin(origin) if host.contains('.') => {
                    let suffix = origin.split_once("://").map_or("", |(_, host)| host);
                    Ok(Self::Subdomains { scheme: format!("{scheme}://"), suffix: format!(".{suffix}") })
                }
                _ => Err(BadParent::Wildcard),
            };
        }
        if text.contains('*') {
            return Err(BadParent::Wildcard);
        }
        let url = Url::parse(&text).map_err(|_| BadParent::NotAnOrigin)?;
        if !matches!(url.scheme(), "http" | "https") && !SHELL_SCHEMES.contains(&url.scheme()) {
            return Err(BadParent::Scheme);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadParent::NotAnOrigin)?;
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]+".contains(&byte));
        if !plain(host) {
            return Err(BadParent::NotAnOrigin);
        }
        let has_extra_parts =
            !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        if has_extra_parts || !url.username().is_empty() || url.password().is_some() {
            return Err(BadParent::MoreThanAnOrigin);
        }
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self::Origin(format!("{}://{host}{port}", url.scheme())))
    }

    /// Whether pages of this parent are loaded over https or from the device.
    pub fn is_https_or_local(&self) -> bool {
        match self {
            Self::Origin(origin) => !origin.starts_with("http://"),
            Self::Subdomains { scheme, .. } => scheme != "http://",
            Self::Scheme(_) => true,
        }
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Origin(allowed) => allowed == origin,
            Self::Subdomains { scheme, suffix } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(suffix.as_str()))
                .is_some_and(|label| !label.is_empty()),
            Self::Scheme(scheme) => {
                origin.strip_prefix(scheme.as_str()).is_some_and(|rest| rest.starts_with("://"))
            }
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => f.write_str(origin),
            Self::Subdomains { scheme, suffix } => write!(f, "{scheme}*{suffix}"),
            Self::Scheme(scheme) => write!(f, "{scheme}:"),
        }
    }
}

impl Parents {
    /// Creates the list.
    pub const fn new(all: Vec<Parent>) -> Self {
        Self { all }
    }

    /// Adds more parents.
    #[must_use]
    pub fn and(mut self, more: Vec<Parent>) -> Self {
        self.all.extend(more);
        self
    }

    /// Whether no parent is allowed.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first one whose pages are loaded over https.
    pub fn first_https(&self) -> Option<&Parent> {
        let is_https = |parent: &&Parent| match parent {
            Parent::Origin(origin) => origin.starts_with("https://"),
            Parent::Subdomains { scheme, .. } => scheme == "https://",
            Parent::Scheme(_) => false,
        };
        self.all.iter().find(is_https)
    }

    /// Whether an origin, as serialized by browsers, is allowed.
    pub fn allow_origin(&self, origin: &str) -> bool {
        self.all.iter().any(|parent| parent.allows(origin))
    }

    /// Whether the page at this URL is allowed.
    pub fn allow_page(&self, url: &str) -> bool {
        // fast path: most URLs start with a configured origin
        let is_within =
            |origin: &String| url.strip_prefix(origin.as_str()).is_some_and(|rest| rest.starts_with('/'));
        self.all.iter().any(|parent| matches!(parent, Parent::Origin(origin) if is_within(origin)))
            || origin_of(url).is_some_and(|origin| self.allow_origin(&origin))
    }

    /// The origin of the page at this URL, if a parent allows it.
    pub fn allowed_origin(&self, url: &str) -> Option<String> {
        origin_of(url).filter(|origin| self.allow_origin(origin))
    }

    /// The parents that are listed as an origin, not as a pattern.
    pub fn listed_origins(&self) -> Vec<String> {
        let listed = self.all.iter().filter_map(|parent| match parent {
            Parent::Origin(origin) => Some(origin.clone()),
            Parent::Subdomains { .. } | Parent::Scheme(_) => None,
        });
        listed.collect()
    }

    /// The origins to which this service's pages may post messages: all listed origins, and the
    /// referrer's origin, if a pattern allows it or if it is the service's own (`/embed`).
    pub fn message_targets(&self, referer: &str, is_same_origin: bool) -> Vec<String> {
        let mut targets = self.listed_origins();
        targets.extend(
            origin_of(referer)
                .filter(|origin| !targets.contains(origin) && (is_same_origin || self.allow_origin(origin))),
        );
        targets
    }

    /// The `frame-ancestors` directive (Content Security Policy Level 3).
    pub fn frame_ancestors(&self) -> String {
        if self.all.is_empty() {
            return "frame-ancestors 'none'".to_owned();
        }
        self.all
            .iter()
            .fold("frame-ancestors".to_owned(), |directive, parent| format!("{directive} {parent}"))
    }

    /// Like [`Self::frame_ancestors`], also allowing this service's own pages.
    pub fn frame_ancestors_and_self(&self) -> String {
        if self.all.is_empty() {
            return "frame-ancestors 'self'".to_owned();
        }
        self.frame_ancestors() + " 'self'"
    }
}

/// The origin of a URL, as serialized by browsers.
fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://app.example.com", "https://app.example.com")]
    #[case("https://APP.example.com/", "https://app.example.com")]
    #[case("https://app.example.com:443", "https://app.example.com")]
    #[case("http://localhost:3000", "http://localhost:3000")]
    #[case("https://*.example.com", "https://*.example.com")]
    #[case("HTTPS://*.Example.com:8443", "https://*.example.com:8443")]
    #[case("FILE:", "file:")]
    #[case("capacitor://localhost", "capacitor://localhost")]
    #[case("file:", "file:")]
    fn a_parent_is_parsed(#[case] text: &str, #[case] written: &str) {
        assert_eq!(Parent::parse(text).map(|parent| parent.to_string()), Ok(written.to_owned()));
    }

    #[rstest]
    #[case("*")]
    #[case("https://*")]
    #[case("https://*.com")]
    #[case("https://a.*.com")]
    #[case("app.example.com")]
    #[case("https:")]
    #[case("hTTPS:")]
    #[case("http:")]
    #[case("about:")]
    #[case("blob:")]
    #[case("data:")]
    #[case("filesystem:")]
    #[case("javascript:")]
    #[case("ws:")]
    #[case("wss://app.example.com")]
    #[case("ftp://app.example.com")]
    #[case("blob:https://app.example.com")]
    #[case("https://app.example.com/path")]
    #[case("https://user@app.example.com")]
    #[case("https://app.example.com; script-src *")]
    #[case("https://app.example.com\nx")]
    #[case("'self'")]
    #[case("")]
    fn an_invalid_parent_is_rejected(#[case] text: &str) {
        assert!(Parent::parse(text).is_err());
    }

    fn parents(texts: &[&str]) -> Parents {
        Parents::new(texts.iter().map(|text| Parent::parse(text).unwrap()).collect())
    }

    const APPS: [&str; 4] =
        ["https://app.example.com", "https://*.customers.example.com", "http://localhost:3000", "ionic:"];

    #[rstest]
    #[case("https://app.example.com", true)]
    #[case("https://app.example.com:443", false)]
    #[case("https://app.example.com.", false)]
    #[case("https://a.customers.example.com", true)]
    #[case("https://a.b.customers.example.com", true)]
    #[case("https://customers.example.com", false)]
    #[case("https://.customers.example.com", false)]
    #[case("https://evilcustomers.example.com", false)]
    #[case("http://a.customers.example.com", false)]
    #[case("https://a.customers.example.com:8443", false)]
    #[case("http://localhost:3000", true)]
    #[case("http://localhost:3001", false)]
    #[case("http://localhost", false)]
    #[case("ionic://localhost", true)]
    #[case("ionic:localhost", false)]
    #[case("ionics://localhost", false)]
    #[case("null", false)]
    #[case("", false)]
    fn an_origin_is_allowed_or_not(#[case] origin: &str, #[case] is_allowed: bool) {
        assert_eq!(parents(&APPS).allow_origin(origin), is_allowed);
        assert!(!Parents::default().allow_origin(origin));
    }

    #[rstest]
    #[case("https://app.example.com/", true)]
    #[case("https://app.example.com/a?b#c", true)]
    #[case("https://app.example.com", true)]
    #[case("https://app.example.com:443/", true)]
    #[case("https://app.example.com:8443/", false)]
    #[case("https://app.example.com.evil.example/", false)]
    #[case("https://app.example.com@evil.example/", false)]
    #[case("https://evil.example/https://app.example.com/", false)]
    #[case("https://a.customers.example.com/x", true)]
    #[case("http://localhost:3000/x", true)]
    #[case("not a URL", false)]
    fn a_page_is_allowed_or_not(#[case] url: &str, #[case] is_allowed: bool) {
        assert_eq!(parents(&APPS).allow_page(url), is_allowed);
    }

    #[rstest]
    #[case::listed_only("", false, &["https://app.example.com", "http://localhost:3000"])]
    #[case::by_pattern(
        "https://a.customers.example.com/x", false,
        &["https://app.example.com", "http://localhost:3000", "https://a.customers.example.com"]
    )]
    #[case::listed_already("https://app.example.com/x", true, &["https://app.example.com", "http://localhost:3000"])]
    #[case::foreign("https://evil.example/", false, &["https://app.example.com", "http://localhost:3000"])]
    #[case::same_origin(
        "https://sso.example.com:8443/embed", true,
        &["https://app.example.com", "http://localhost:3000", "https://sso.example.com:8443"]
    )]
    fn messages_go_to_allowed_origins_only(
        #[case] referer: &str,
        #[case] is_same_origin: bool,
        #[case] targets: &[&str],
    ) {
        assert_eq!(parents(&APPS).message_targets(referer, is_same_origin), targets);
    }

    #[rstest]
    #[case("https://a.customers.example.com/x?y", Some("https://a.customers.example.com"))]
    #[case("https://A.customers.example.com", Some("https://a.customers.example.com"))]
    #[case("https://app.example.com/", Some("https://app.example.com"))]
    #[case("https://a.customers.example.com@evil.example/", None)]
    #[case("https://evil.example/?https://a.customers.example.com/", None)]
    #[case("https://a.customers.example.com:8443/", None)]
    #[case("null", None)]
    #[case("", None)]
    fn the_origin_of_a_page_is_allowed_by_name_or_pattern(#[case] url: &str, #[case] origin: Option<&str>) {
        assert_eq!(parents(&APPS).allowed_origin(url).as_deref(), origin);
    }

    #[test]
    fn the_directive_lists_every_parent() {
        let parents = parents(&APPS).and(vec![Parent::parse("https://b.example").unwrap()]);
        let named = "frame-ancestors https://app.example.com https://*.customers.example.com \
                     http://localhost:3000 ionic: https://b.example";
        assert_eq!(parents.frame_ancestors(), named);
        assert_eq!(parents.frame_ancestors_and_self(), format!("{named} 'self'"));
        assert!(!parents.is_empty() && Parents::default().is_empty());
    }

    #[rstest]
    #[case("https://app.example.com", true)]
    #[case("http://app.example.com", false)]
    #[case("http://localhost:3000", false)]
    #[case("https://*.example.com", true)]
    #[case("http://*.example.com", false)]
    #[case("capacitor://localhost", true)]
    #[case("file:", true)]
    fn https_and_shells_are_distinguished_from_http(#[case] text: &str, #[case] is_https_or_local: bool) {
        assert_eq!(Parent::parse(text).unwrap().is_https_or_local(), is_https_or_local);
    }

    #[rstest]
    #[case("app.example.com", BadParent::NotAnOrigin)]
    #[case("https://app.example.com/path", BadParent::MoreThanAnOrigin)]
    #[case("https://app.example.com?x", BadParent::MoreThanAnOrigin)]
    #[case("https://app.example.com#x", BadParent::MoreThanAnOrigin)]
    #[case("https://user@app.example.com", BadParent::MoreThanAnOrigin)]
    #[case("https://:password@app.example.com", BadParent::MoreThanAnOrigin)]
    #[case("https://*", BadParent::Wildcard)]
    #[case("https://*.com", BadParent::Wildcard)]
    #[case("about:", BadParent::Scheme)]
    fn a_parent_error_names_the_problem(#[case] text: &str, #[case] why: BadParent) {
        assert_eq!(Parent::parse(text), Err(why));
    }

    #[test]
    fn an_empty_list_allows_no_frames() {
        assert_eq!(Parents::default().frame_ancestors(), "frame-ancestors 'none'");
        assert_eq!(Parents::default().frame_ancestors_and_self(), "frame-ancestors 'self'");
    }

    proptest! {
        #[test]
        fn a_parent_cannot_break_the_directive(text in any::<String>(), host in "[ -~]{0,12}") {
            for text in [text, format!("https://{host}.example.com"), format!("{host}:")] {
                if let Ok(parent) = Parent::parse(&text) {
                    let written = parent.to_string();
                    prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b";,'\"".contains(&byte)));
                }
            }
        }
    }
}
