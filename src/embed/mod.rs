//! Where may a hand-off be shown: on a page of its own, in the frame of an
//! allowed parent, to an allowed script; never as an image, never in advance.
//!
//! `frame-ancestors` on a redirect is not enforced by browsers, so the control
//! is Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>).

mod metadata;
mod parents;

pub use metadata::{BadMetadata, FetchMetadata};
pub use parents::{BadParent, Parent, Parents};

use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Repeated};

/// The operator's rules for embedding.
#[derive(Clone, Debug)]
pub struct Embed {
    /// The pages that may frame us, and whose scripts may ask us.
    pub parents: Parents,
    /// Further pages whose scripts may ask us.
    pub scripts: Parents,
    /// What becomes of a frame that is not allowed.
    pub policy: Policy,
    /// What becomes of a request without Fetch Metadata: an old browser, a
    /// program, or a page that came by plain HTTP.
    pub without_fetch_metadata: WithoutFetchMetadata,
    /// What becomes of a frame whose parent hides itself (no `Referer`).
    pub missing_referer: MissingReferer,
    /// Where people sign in, at the top level.
    pub login_url: Option<String>,
}

/// What becomes of a frame that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is refused.
    Enforce,
    /// It is served, counted and logged.
    Report,
    /// It is served.
    Off,
}

/// What becomes of a request without Fetch Metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutFetchMetadata {
    /// It is served.
    Allow,
    /// It is refused.
    Refuse,
}

/// What becomes of a frame whose parent hides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingReferer {
    /// It is refused.
    Refuse,
    /// It is served to parents of our own site.
    SameSite,
    /// It is served.
    Allow,
}

/// Where the answer will be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDestination {
    /// A page of its own.
    Document,
    /// A frame.
    Frame,
    /// Nowhere: a script asks.
    Script,
    /// The client does not say.
    Unknown,
}

/// What the rules say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be served.
    Allowed,
    /// It may be served, and the operator is told why it would not.
    Reported(Refusal),
    /// It may not be served.
    Refused(Refusal),
}

impl FetchDestination {
    /// What the request says of it.
    pub fn of(headers: &Headers<'_>) -> Self {
        match headers.only("sec-fetch-dest") {
            Ok(Some(b"document")) => Self::Document,
            Ok(Some(b"iframe" | b"frame")) => Self::Frame,
            Ok(Some(b"empty")) => Self::Script,
            Ok(Some(_) | None) | Err(_) => Self::Unknown,
        }
    }

    /// The word for the record.
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
    /// The same, with further pages whose scripts may ask.
    #[must_use]
    pub fn with_scripts(self, more: Vec<Parent>) -> Self {
        Self { scripts: self.scripts.and(more), ..self }
    }

    /// Whether scripts of this origin may ask, and read the answer.
    pub fn allows_script(&self, origin: &str) -> bool {
        self.parents.allow_origin(origin) || self.scripts.allow_origin(origin)
    }

    /// Judges a request.
    pub fn judge(&self, headers: &Headers<'_>) -> Verdict {
        match self.object(headers) {
            Ok(()) => Verdict::Allowed,
            Err(Objection::Never(cause)) => Verdict::Refused(Reason::CrossSiteRequest.because(cause)),
            Err(Objection::Frame(cause)) => self.by_policy(Reason::EmbeddingNotAllowed.because(cause)),
            Err(Objection::Request(cause)) => self.by_policy(Reason::CrossSiteRequest.because(cause)),
        }
    }

    fn by_policy(&self, refusal: Refusal) -> Verdict {
        match self.policy {
            Policy::Enforce => Verdict::Refused(refusal),
            Policy::Report => Verdict::Reported(refusal),
            Policy::Off => Verdict::Allowed,
        }
    }

    fn object(&self, headers: &Headers<'_>) -> Result<(), Objection> {
        let metadata = FetchMetadata::read(headers)?;
        let Some(destination) = metadata.destination else {
            return match self.without_fetch_metadata {
                WithoutFetchMetadata::Allow => Ok(()),
                WithoutFetchMetadata::Refuse => Err(Objection::Request("the request has no Fetch Metadata")),
            };
        };
        match destination {
            b"document" | b"iframe" | b"frame" if metadata.mode.is_some_and(|mode| mode != b"navigate") => {
                Err(Objection::Never("the request for a page or a frame is not a navigation"))
            }
            b"document" => Ok(()),
            b"iframe" | b"frame" => self.object_to_frame(&metadata, headers),
            b"empty" => self.object_to_script(&metadata, headers),
            _ => Err(Objection::Never("neither a page, a frame nor an allowed script asks")),
        }
    }

    fn object_to_frame(&self, metadata: &FetchMetadata<'_>, headers: &Headers<'_>) -> Result<(), Objection> {
        let same_origin = metadata.site == Some(b"same-origin".as_slice());
        if same_origin {
            return Ok(());
        }
        let referer = sole_text(headers, "referer").map_err(|_| Objection::Frame("Referer came twice"))?;
        match referer {
            Some(referer) if self.parents.allow_page(referer) => Ok(()),
            Some(_) => Err(Objection::Frame("the framing page is not among embed.parents")),
            None => match (self.missing_referer, metadata.site) {
                (MissingReferer::Allow, _) | (MissingReferer::SameSite, Some(b"same-site")) => Ok(()),
                _ => Err(Objection::Frame(
                    "the framing page hides itself (no Referer): give the frame referrerpolicy=\"strict-origin\", \
                     or see embed.missing_referer",
                )),
            },
        }
    }

    fn object_to_script(&self, metadata: &FetchMetadata<'_>, headers: &Headers<'_>) -> Result<(), Objection> {
        let same_origin = metadata.site == Some(b"same-origin".as_slice());
        match metadata.mode {
            Some(b"cors" | b"same-origin") if same_origin => Ok(()),
            Some(b"cors") => match sole_text(headers, "origin") {
                Ok(Some(origin)) if self.allows_script(origin) => Ok(()),
                _ => Err(Objection::Request(FOREIGN_SCRIPT)),
            },
            _ => Err(Objection::Never("a script asks without CORS")),
        }
    }
}

/// What is wrong with a script of another page.
pub const FOREIGN_SCRIPT: &str =
    "the asking script's origin is neither among embed.parents nor embed.cors_origins";

/// Why a request is objected to: whatever the policy is, or because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    /// Refused whatever the policy is.
    Never(&'static str),
    /// A frame that the policy may refuse.
    Frame(&'static str),
    /// Another request that the policy may refuse.
    Request(&'static str),
}

impl From<BadMetadata> for Objection {
    fn from(why: BadMetadata) -> Self {
        Self::Never(why.cause())
    }
}

/// The text of a header that comes at most once; an empty one where it is not UTF-8.
fn sole_text<'a>(headers: &Headers<'a>, name: &str) -> Result<Option<&'a str>, Repeated> {
    Ok(headers.only(name)?.map(|value| std::str::from_utf8(value).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn embed(policy: Policy) -> Embed {
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
        assert_eq!(embed(Policy::Enforce).judge(&headers(text)), Verdict::Allowed);
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
    fn a_frame_is_judged_by_the_policy(#[case] text: &'static str) {
        let text: &'static str = format!("{FRAME}{text}").leak();
        assert!(matches!(embed(Policy::Enforce).judge(&headers(text)), Verdict::Refused(_)));
        assert!(matches!(embed(Policy::Report).judge(&headers(text)), Verdict::Reported(_)));
        assert_eq!(embed(Policy::Off).judge(&headers(text)), Verdict::Allowed);
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
    fn a_request_is_refused_whatever_the_policy(#[case] text: &'static str) {
        for policy in [Policy::Enforce, Policy::Report, Policy::Off] {
            assert!(matches!(embed(policy).judge(&headers(text)), Verdict::Refused(_)), "{policy:?}");
        }
    }

    #[rstest]
    #[case(MissingReferer::Refuse, "same-site", false)]
    #[case(MissingReferer::SameSite, "same-site", true)]
    #[case(MissingReferer::SameSite, "cross-site", false)]
    #[case(MissingReferer::Allow, "cross-site", true)]
    fn a_parent_that_hides_is_treated_as_the_operator_says(
        #[case] missing_referer: MissingReferer,
        #[case] site: &str,
        #[case] allowed: bool,
    ) {
        let embed = Embed { missing_referer, ..embed(Policy::Enforce) };
        let text: &'static str = format!("{FRAME}sec-fetch-site: {site}").leak();
        assert_eq!(embed.judge(&headers(text)) == Verdict::Allowed, allowed);
    }
}
