//! Checks a running deployment from outside: as a browser, as a client that forges identity
//! headers, and, with a cookie, as a user. It changes nothing, and neither prints nor forwards
//! tokens that it receives.

mod address;
mod frame;
mod hand_off;
mod probe;
mod service;
mod sign_in;
mod snippets;
mod tls;

use url::{Host, Url};

pub use address::{GivenAddress, NotAGivenAddress};
use probe::Probe;
pub use snippets::{Front, Remedy};

/// The deployment to check.
#[derive(Debug)]
pub struct Setup {
    /// The URL of the entrance, as browsers use it.
    pub entrance: Url,
    /// The URL of the page that embeds the entrance.
    pub page: Option<Url>,
    /// Header names to forge in addition to those of the presets.
    pub identity_headers: Vec<String>,
    /// The `Cookie` header of a user who has logged in.
    pub cookie: Option<String>,
    /// Certificate authorities to trust in addition to the system's, in PEM.
    pub authority: Option<Vec<u8>>,
    /// The proxy in front; `None` to recognise it by its responses.
    pub front: Option<Front>,
    /// Addresses in place of DNS; the last one for a host and port applies.
    pub addresses: Vec<GivenAddress>,
}

/// The results of all checks.
#[derive(Clone, Debug)]
pub struct Report {
    /// The proxy in front, if it is known.
    pub front: Option<Front>,
    /// The results.
    pub findings: Vec<Finding>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The part of the set-up.
    pub group: Group,
    /// What was checked, in one or two words.
    pub name: &'static str,
}

/// A part of a set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The service behind its proxy.
    Proxy,
    /// The page with the frame, and what the frame shows.
    Frame,
    /// What tokens are verified with: keys and clocks.
    Keys,
    /// The sizes of responses.
    Sizes,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// What was checked.
    pub topic: Topic,
    /// The result, and what to do about it.
    pub message: String,
    /// What to write into a configuration or a page, if that is known.
    pub remedy: Option<Remedy>,
}

/// How severe a finding is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No problem.
    Ok,
    /// Not checked, because something is missing.
    Skipped,
    /// It may fail for some users.
    Warning,
    /// It fails, or lets a client sign on as another user.
    Broken,
}

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct ClientError(#[from] reqwest::Error);

impl Finding {
    fn new(severity: Severity, topic: Topic, message: impl Into<String>) -> Self {
        Self { severity, topic, message: message.into(), remedy: None }
    }

    fn ok(topic: Topic, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, topic, message)
    }

    fn skipped(topic: Topic, message: impl Into<String>) -> Self {
        Self::new(Severity::Skipped, topic, message)
    }

    fn warning(topic: Topic, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, topic, message)
    }

    fn broken(topic: Topic, message: impl Into<String>) -> Self {
        Self::new(Severity::Broken, topic, message)
    }

    fn with(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

impl Topic {
    const fn proxy(name: &'static str) -> Self {
        Self { group: Group::Proxy, name }
    }

    const fn frame(name: &'static str) -> Self {
        Self { group: Group::Frame, name }
    }

    const fn keys(name: &'static str) -> Self {
        Self { group: Group::Keys, name }
    }

    const fn sizes(name: &'static str) -> Self {
        Self { group: Group::Sizes, name }
    }
}

impl Group {
    /// All groups, in the order of a report.
    pub const ALL: [Self; 4] = [Self::Proxy, Self::Frame, Self::Keys, Self::Sizes];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Frame => "frame",
            Self::Keys => "keys",
            Self::Sizes => "sizes",
        }
    }
}

impl Severity {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// Runs all checks.
pub async fn run(setup: &Setup) -> Result<Report, ClientError> {
    let probe = Probe::new(setup)?;
    // without a response, every other check would fail for the same cause
    let response = match service::first_response(&probe, &setup.entrance).await {
        Ok(response) => response,
        Err(finding) => return Ok(Report { front: setup.front, findings: vec![finding] }),
    };
    let front = setup.front.or_else(|| response.front());
    let (mut findings, entrance) = service::run(&probe, setup, response).await;
    findings.extend(hand_off::run(&probe, setup).await);
    findings.extend(frame::run(&probe, setup, entrance.as_ref()).await);
    Ok(Report { front, findings })
}

fn is_on_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A URL without the parts that may hold secrets: userinfo, query and fragment.
fn display_url(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
