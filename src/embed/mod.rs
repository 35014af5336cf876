//! The frame policy: a hand-off may be loaded as a top-level page, in a frame of an
//! allowed parent, or by an allowed script; never as another resource or speculatively.
//!
//! Browsers do not enforce `frame-ancestors` on redirects, so requests are checked by
//! their Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>).

mod metadata;
mod parents;

pub use metadata::{BadMetadata, FetchMetadata};
pub use parents::{BadParent, Parent, Parents};

use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Repeated};

/// The operator's rules for embedding.
#[derive(Clone, Debug)]
pub struct Embed {
    /// The origins that may frame the service, and whose scripts may call it.
    pub parents: Parents,
    /// Further origins whose scripts may call the service.
    pub scripts: Parents,
    /// How violations are handled.
    pub policy: EmbedPolicy,
    /// How requests without Fetch Metadata are handled: old browsers, programs, pages
    /// over plain HTTP.
    pub without_fetch_metadata: WithoutFetchMetadata,
    /// How frames without a `Referer` are handled.
    pub missing_referer: MissingReferer,
    /// The login page, which is opened as a top-level page.
    pub login_url: Option<String>,
}

/// How violations are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedPolicy {
    /// The request is refused.
    Enforce,
    /// The request is served; the violation is counted and logged.
    Report,
    /// The request is served.
    Off,
}

/// How requests without Fetch Metadata are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutFetchMetadata {
    /// It is served.
    Allow,
    /// It is refused.
    Refuse,
}

/// How frames without a `Referer` are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingReferer {
    /// It is refused.
    Refuse,
    /// It is served if the parent is same-site.
    SameSite,
    /// It is served.
    Allow,
}

/// What the response is for (`Sec-Fetch-Dest`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FetchDestination {
    /// A top-level page.
    Document,
    /// A frame.
    Frame,
    /// A script's request.
    Script,
    /// Not reported, or another destination.
    #[default]
    Unknown,
}

impl FetchDestination {
    /// Reads the destination from the headers.
    pub fn of(headers: &Headers<'_>) -> Self {
        match headers.only("sec-fetch-dest") {
            Ok(Some(b"document")) => Self::Document,
            Ok(Some(b"iframe" | b"frame")) => Self::Frame,
            Ok(Some(b"empty")) => Self::Script,
            Ok(Some(_) | None) | Err(_) => Self::Unknown,
        }
    }

    /// The name in audit events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Frame => "iframe",
            Self::Script => "empty",
            Self::Unknown => "unknown",
        }
    }
}

impl Embed {
    /// Adds origins whose scripts may call the service.
    #[must_use]
    pub fn with_scripts(self, more: Vec<Parent>) -> Self {
        Self { scripts: self.scripts.and(more), ..self }
    }

    /// Whether scripts of this origin may call the service and read the response.
    pub fn allows_script(&self, origin: &str) -> bool {
        self.parents.allow_origin(origin) || self.scripts.allow_origin(origin)
    }

    /// Checks a request against the rules. `Some`: it violates them, but the policy is
    /// [`EmbedPolicy::Report`].
    pub fn check_embedding(&self, headers: &Headers<'_>) -> Result<Option<Refusal>, Refusal> {
        match self.find_violation(headers) {
            Ok(()) => Ok(None),
            Err(Violation::Unconditional(cause)) => Err(Reason::CrossSiteRequest.because(cause)),
            Err(Violation::Frame(cause)) => self.by_policy(Reason::EmbeddingNotAllowed.because(cause)),
            Err(Violation::Request(cause)) => self.by_policy(Reason::CrossSiteRequest.because(cause)),
        }
    }

    fn by_policy(&self, refusal: Refusal) -> Result<Option<Refusal>, Refusal> {
        match self.policy {
            EmbedPolicy::Enforce => Err(refusal),
            EmbedPolicy::Report => Ok(Some(refusal)),
            EmbedPolicy::Off => Ok(None),
        }
    }

    fn find_violation(&self, headers: &Headers<'_>) -> Result<(), Violation> {
        let metadata = FetchMetadata::read(headers)?;
        let Some(destination) = metadata.destination else {
            return match self.without_fetch_metadata {
                WithoutFetchMetadata::Allow => Ok(()),
                WithoutFetchMetadata::Refuse => Err(Violation::Request("the request has no Fetch Metadata")),
            };
        };
        match destination {
            b"document" | b"iframe" | b"frame" if metadata.mode.is_some_and(|mode| mode != b"navigate") => {
                Err(Violation::Unconditional("the request for a page or a frame is not a navigation"))
            }
            b"document" => Ok(()),
            b"iframe" | b"frame" => self.check_frame(&metadata, headers),
            b"empty" => self.check_script(&metadata, headers),
            _ => Err(Violation::Unconditional(
                "the request is neither for a page or a frame, nor by an allowed script",
            )),
        }
    }

    fn check_frame(&self, metadata: &FetchMetadata<'_>, headers: &Headers<'_>) -> Result<(), Violation> {
        let same_origin = metadata.site == Some(b"same-origin".as_slice());
        if same_origin {
            return Ok(());
        }
        let referer =
            single_value(headers, "referer").map_err(|_| Violation::Frame("Referer is repeated"))?;
        match referer {
            Some(referer) if self.parents.allow_page(referer) => Ok(()),
            Some(_) => Err(Violation::Frame("the framing page is not among embed.parents")),
            None => match (self.missing_referer, metadata.site) {
                (MissingReferer::Allow, _) | (MissingReferer::SameSite, Some(b"same-site")) => Ok(()),
                _ => Err(Violation::Frame(
                    "the framing page sends no Referer: give the frame referrerpolicy=\"strict-origin\", \
                     or see embed.missing_referer",
                )),
            },
        }
    }

    fn check_script(&self, metadata: &FetchMetadata<'_>, headers: &Headers<'_>) -> Result<(), Violation> {
        let same_origin = metadata.site == Some(b"same-origin".as_slice());
        match metadata.mode {
            Some(b"cors" | b"same-origin") if same_origin => Ok(()),
            Some(b"cors") => match single_value(headers, "origin") {
                Ok(Some(origin)) if self.allows_script(origin) => Ok(()),
                _ => Err(Violation::Request(SCRIPT_NOT_ALLOWED)),
            },
            _ => Err(Violation::Unconditional("the script's request is not a CORS request")),
        }
    }
}

/// The cause for a script of an origin that is not allowed.
pub const SCRIPT_NOT_ALLOWED: &str =
    "the script's origin is neither in embed.parents nor in embed.cors_origins";

/// A violation of the rules, by the policy that applies to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Violation {
    /// Refused whatever the policy is.
    Unconditional(&'static str),
    /// A frame that is not allowed; refused as the policy says.
    Frame(&'static str),
    /// Another request that is not allowed; refused as the policy says.
    Request(&'static str),
}

impl From<BadMetadata> for Violation {
    fn from(why: BadMetadata) -> Self {
        Self::Unconditional(why.cause())
    }
}

/// The value of a field that must not be repeated; empty if it is not UTF-8.
fn single_value<'a>(headers: &Headers<'a>, name: &str) -> Result<Option<&'a str>, Repeated> {
    Ok(headers.only(name)?.map(|value| std::str::from_utf8(value).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn embed(policy: EmbedPolicy) -> Embed {
        Embed {
            scripts: Parents::default(),
            parents: Parents::new(vec![
                Parent::parse("https://app.example.com").unwrap(),
                Parent::parse("https://*.customers.example.com").unwrap(),
            ]),
            policy,
            without_fetch_metadata: WithoutFetchMetadata::Allow,
            missing_referer: MissingReferer::Refuse,
            login_url: None,
        }
    }

    fn headers(text: &'static str) -> Headers<'static> {
        text.split(", ").filter_map(|field| field.split_once(": ")).map(|(n, v)| (n, v.as_bytes())).collect()
    }

    const FRAME: &str = "sec-fetch-dest: iframe, sec-fetch-mode: navigate, ";

    #[rstest]
    #[case::program("accept: */*")]
    #[case::page("sec-fetch-dest: document, sec-fetch-mode: navigate, sec-fetch-site: cross-site")]
    #[case::frame(
        "sec-fetch-dest: iframe, sec-fetch-site: cross-site, referer: https://app.example.com/integrations?a=b"
    )]
    #[case::frame_of_a_customer(
        "sec-fetch-dest: frame, sec-fetch-site: same-site, referer: https://a.customers.example.com/"
    )]
    #[case::own_frame("sec-fetch-dest: iframe, sec-fetch-site: same-origin")]
    #[case::script(
        "sec-fetch-dest: empty, sec-fetch-mode: cors, sec-fetch-site: cross-site, origin: https://app.example.com"
    )]
    #[case::own_script("sec-fetch-dest: empty, sec-fetch-mode: cors, sec-fetch-site: same-origin")]
    fn a_request_is_allowed(#[case] text: &'static str) {
        assert_eq!(embed(EmbedPolicy::Enforce).check_embedding(&headers(text)), Ok(None));
    }

    #[rstest]
    #[case("referer: https://evil.example/")]
    #[case("referer: https://app.example.com.evil.example/")]
    #[case("referer: https://app.example.com@evil.example/")]
    #[case("referer: https://app.example.com:8443/")]
    #[case("referer: http://app.example.com/")]
    #[case("referer: https://customers.example.com/")]
    #[case("referer: https://app.example.com/, referer: https://evil.example/")]
    #[case("referer: null")]
    #[case("sec-fetch-site: same-site")]
    fn a_frame_violation_is_handled_by_the_policy(#[case] text: &'static str) {
        let text: &'static str = format!("{FRAME}{text}").leak();
        assert!(embed(EmbedPolicy::Enforce).check_embedding(&headers(text)).is_err());
        assert!(matches!(embed(EmbedPolicy::Report).check_embedding(&headers(text)), Ok(Some(_))));
        assert_eq!(embed(EmbedPolicy::Off).check_embedding(&headers(text)), Ok(None));
    }

    #[rstest]
    #[case("sec-fetch-dest: image")]
    #[case("sec-fetch-dest: script")]
    #[case("sec-fetch-dest: style")]
    #[case("sec-fetch-dest: empty, sec-fetch-mode: no-cors, sec-fetch-site: same-origin")]
    #[case("sec-fetch-dest: document, sec-purpose: prefetch")]
    #[case("sec-fetch-dest: document, sec-purpose: prefetch;prerender")]
    #[case("purpose: prefetch")]
    #[case("sec-fetch-dest: document, sec-fetch-dest: iframe")]
    fn a_request_is_refused_under_any_policy(#[case] text: &'static str) {
        for policy in [EmbedPolicy::Enforce, EmbedPolicy::Report, EmbedPolicy::Off] {
            assert!(embed(policy).check_embedding(&headers(text)).is_err(), "{policy:?}");
        }
    }

    #[rstest]
    #[case(MissingReferer::Refuse, "same-site", false)]
    #[case(MissingReferer::SameSite, "same-site", true)]
    #[case(MissingReferer::SameSite, "cross-site", false)]
    #[case(MissingReferer::Allow, "cross-site", true)]
    fn missing_referer_is_handled_as_configured(
        #[case] missing_referer: MissingReferer,
        #[case] site: &str,
        #[case] is_allowed: bool,
    ) {
        let embed = Embed { missing_referer, ..embed(EmbedPolicy::Enforce) };
        let text: &'static str = format!("{FRAME}sec-fetch-site: {site}").leak();
        assert_eq!(embed.check_embedding(&headers(text)) == Ok(None), is_allowed);
    }

    #[test]
    fn scripts_of_parents_and_of_further_origins_are_allowed() {
        let embed = embed(EmbedPolicy::Enforce);
        let more = embed.clone().with_scripts(vec![Parent::parse("https://cdn.example.org").unwrap()]);
        assert!(
            embed.allows_script("https://app.example.com") && more.allows_script("https://app.example.com")
        );
        assert!(
            !embed.allows_script("https://cdn.example.org") && more.allows_script("https://cdn.example.org")
        );
        let again = more.with_scripts(vec![Parent::parse("https://b.example").unwrap()]);
        assert!(again.allows_script("https://cdn.example.org") && again.allows_script("https://b.example"));
    }

    #[rstest]
    #[case("sec-fetch-dest: document, sec-fetch-mode: cors")]
    #[case("sec-fetch-dest: iframe, sec-fetch-mode: no-cors, sec-fetch-site: same-origin")]
    fn a_page_is_requested_by_a_navigation(#[case] text: &'static str) {
        let decision = embed(EmbedPolicy::Off).check_embedding(&headers(text));
        assert!(decision.is_err(), "{decision:?}");
    }

    #[rstest]
    #[case("origin: https://evil.example")]
    #[case("origin: null")]
    #[case("accept: */*")]
    fn a_script_of_another_origin_is_refused(#[case] origin: &str) {
        let fields =
            format!("sec-fetch-dest: empty, sec-fetch-mode: cors, sec-fetch-site: cross-site, {origin}");
        let fields: &'static str = fields.leak();
        let decision = embed(EmbedPolicy::Enforce).check_embedding(&headers(fields));
        assert!(decision.is_err(), "{decision:?}");
    }
}
