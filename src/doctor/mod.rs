//! Checks a running deployment from outside: as a browser, as a client that
//! forges identity headers, and, with a cookie, as a user. It changes nothing,
//! and does not print or send on tokens that it receives.

mod frame;
mod probe;
mod service;
mod tls;

use std::fmt;

use url::{Host, Url};

use probe::Probe;

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
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// What was checked, in one or two words.
    pub topic: &'static str,
    /// The result, and what to do about it.
    pub message: String,
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
    fn new(severity: Severity, topic: &'static str, message: impl Into<String>) -> Self {
        Self { severity, topic, message: message.into() }
    }

    fn ok(topic: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, topic, message)
    }

    fn skipped(topic: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Skipped, topic, message)
    }

    fn warning(topic: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, topic, message)
    }

    fn broken(topic: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Broken, topic, message)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Skipped => "-",
            Self::Warning => "DOUBT",
            Self::Broken => "BROKEN",
        })
    }
}

/// Runs all checks.
pub async fn run(setup: &Setup) -> Result<Vec<Finding>, ClientError> {
    let probe = Probe::new(setup.authority.as_deref(), is_on_this_machine(&setup.entrance))?;
    // without a response every other check would report the same cause again
    let response = match service::first_response(&probe, &setup.entrance).await {
        Ok(response) => response,
        Err(finding) => return Ok(vec![finding]),
    };
    let (mut findings, entrance) = service::run(&probe, setup, response).await;
    findings.extend(frame::run(&probe, setup, entrance.as_ref()).await);
    Ok(findings)
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
