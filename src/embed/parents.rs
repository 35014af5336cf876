//! The pages that may frame us: origins, read from the configuration once, and
//! written into `frame-ancestors` from what was read.

use std::fmt;

use url::Url;

/// One allowed parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// An origin: scheme, host, port. Web apps, and shells with a host of
    /// their own (`capacitor://localhost`).
    Origin(String),
    /// Every host below a domain (`https://*.example.com`).
    Subdomains {
        /// `https://`, with the `://`.
        scheme: String,
        /// `.example.com`, with the dot in front and the port behind.
        suffix: String,
    },
    /// A scheme without hosts (`file:`), for desktop shells.
    Scheme(String),
}

/// All allowed parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parents {
    all: Vec<Parent>,
}

/// A text names no parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadParent {
    /// Not an origin at all.
    #[error(
        "it is not an origin: scheme, host and perhaps a port are meant, such as https://app.example.com"
    )]
    NotAnOrigin,
    /// An address within an origin.
    #[error("it says more than an origin: leave out the path, the query and the user")]
    MoreThanAnOrigin,
    /// A scheme that no page of an app has.
    #[error(
        "its scheme is none that a parent can have: http, https with a host, or one of a desktop or \
         mobile shell (app, capacitor, capacitor-electron, file, ionic, tauri)"
    )]
    Scheme,
    /// `*` by itself or in the midst.
    #[error("'*' may only stand for the first label of a host, such as https://*.example.com")]
    Wildcard,
}

/// Schemes of the pages in desktop and mobile shells. Any other scheme without
/// a host would allow every page of the web, or pages that any page can make
/// (`blob:`, `data:`, `filesystem:`).
const SHELL_SCHEMES: [&str; 6] = ["app", "capacitor", "capacitor-electron", "file", "ionic", "tauri"];

impl Parent {
    /// Reads a parent; schemes and hosts have no case.
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
        let more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        if more || !url.username().is_empty() || url.password().is_some() {
            return Err(BadParent::MoreThanAnOrigin);
        }
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self::Origin(format!("{}://{host}{port}", url.scheme())))
    }

    /// Whether a page there came encrypted, or from the device itself.
    pub fn is_https_or_local(&self) -> bool {
        match self {
            Self::Origin(origin) => !origin.starts_with("http://"),
            Self::Subdomains { scheme, .. } => scheme != "http://",
            Self::Scheme(_) => true,
        }
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Origin(own) => own == origin,
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
    /// These and no others.
    pub const fn new(all: Vec<Parent>) -> Self {
        Self { all }
    }

    /// These and some more.
    #[must_use]
    pub fn and(mut self, more: Vec<Parent>) -> Self {
        self.all.extend(more);
        self
    }

    /// Whether none is allowed.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether this origin, as a browser writes it, is allowed.
    pub fn allow_origin(&self, origin: &str) -> bool {
        self.all.iter().any(|parent| parent.allows(origin))
    }

    /// Whether the page at this address is allowed.
    pub fn allow_page(&self, address: &str) -> bool {
        // most pages begin, to the letter, with the origin that was configured
        let is_within =
            |origin: &String| address.strip_prefix(origin.as_str()).is_some_and(|rest| rest.starts_with('/'));
        self.all.iter().any(|parent| matches!(parent, Parent::Origin(origin) if is_within(origin)))
            || origin_of(address).is_some_and(|origin| self.allow_origin(&origin))
    }

    /// The origins to which a page of ours may post a message: those that are
    /// named, and that of the page before it, if a pattern allows it or it is
    /// our own (`/embed`).
    pub fn message_targets(&self, referer: &str, is_same_origin: bool) -> Vec<String> {
        let named = self.all.iter().filter_map(|parent| match parent {
            Parent::Origin(origin) => Some(origin.clone()),
            Parent::Subdomains { .. } | Parent::Scheme(_) => None,
        });
        let mut targets: Vec<String> = named.collect();
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

    /// The same for what a frame in a page of ours shows.
    pub fn frame_ancestors_and_self(&self) -> String {
        if self.all.is_empty() {
            return "frame-ancestors 'self'".to_owned();
        }
        self.frame_ancestors() + " 'self'"
    }
}

/// The origin of a page, as browsers write it.
fn origin_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
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
    fn a_parent_is_read(#[case] text: &str, #[case] written: &str) {
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
    fn a_parent_is_refused(#[case] text: &str) {
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
    #[case("not an address", false)]
    fn a_page_is_allowed_or_not(#[case] address: &str, #[case] is_allowed: bool) {
        assert_eq!(parents(&APPS).allow_page(address), is_allowed);
    }

    #[rstest]
    #[case::named_alone("", false, &["https://app.example.com", "http://localhost:3000"])]
    #[case::by_pattern(
        "https://a.customers.example.com/x", false,
        &["https://app.example.com", "http://localhost:3000", "https://a.customers.example.com"]
    )]
    #[case::named_already("https://app.example.com/x", true, &["https://app.example.com", "http://localhost:3000"])]
    #[case::foreign("https://evil.example/", false, &["https://app.example.com", "http://localhost:3000"])]
    #[case::own(
        "https://sso.example.com:8443/embed", true,
        &["https://app.example.com", "http://localhost:3000", "https://sso.example.com:8443"]
    )]
    fn messages_go_to_allowed_origins(
        #[case] referer: &str,
        #[case] is_same_origin: bool,
        #[case] targets: &[&str],
    ) {
        assert_eq!(parents(&APPS).message_targets(referer, is_same_origin), targets);
    }

    #[test]
    fn the_directive_names_every_parent() {
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
    fn https_and_shells_are_told_from_http(#[case] text: &str, #[case] is_https_or_local: bool) {
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
    fn what_is_wrong_with_a_parent_is_said(#[case] text: &str, #[case] why: BadParent) {
        assert_eq!(Parent::parse(text), Err(why));
    }

    #[test]
    fn nobody_may_frame_where_nobody_is_named() {
        assert_eq!(Parents::default().frame_ancestors(), "frame-ancestors 'none'");
        assert_eq!(Parents::default().frame_ancestors_and_self(), "frame-ancestors 'self'");
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_the_directive(text in any::<String>(), host in "[ -~]{0,12}") {
            for text in [text, format!("https://{host}.example.com"), format!("{host}:")] {
                if let Ok(parent) = Parent::parse(&text) {
                    let written = parent.to_string();
                    prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b";,'\"".contains(&byte)));
                }
            }
        }
    }
}
