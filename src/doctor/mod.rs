//! Looks at a running set-up from outside, as a browser and as somebody who
//! forges headers would, and says what would break it. It changes nothing, and
//! no token that it meets leaves it.

mod frame;
mod probe;
mod service;
mod tls;

use std::fmt;

use url::{Host, Url};

use probe::Probe;

/// What to look at.
#[derive(Debug)]
pub struct SetUp {
    /// The entrance, as browsers reach it.
    pub entrance: Url,
    /// The page of the app that frames it.
    pub page: Option<Url>,
    /// Headers, beside those of every known proxy, that would say who it is.
    pub identity_headers: Vec<String>,
    /// A signed-in user's `Cookie` header.
    pub cookie: Option<String>,
    /// A certificate authority to believe beside the system's, in PEM.
    pub authority: Option<Vec<u8>>,
}

/// What was found in one respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    /// What was looked at, in a few words.
    pub about: &'static str,
    /// What was found, and what to do about it.
    pub what: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Fine,
    /// It was not looked at, for want of something.
    Skipped,
    /// It may break for somebody.
    Doubtful,
    /// It breaks, or lets somebody in.
    Broken,
}

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
#[error("no request can be made: {0}")]
pub struct CannotAsk(#[from] reqwest::Error);

impl Finding {
    fn new(grade: Grade, about: &'static str, what: impl Into<String>) -> Self {
        Self { grade, about, what: what.into() }
    }

    fn fine(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Grade::Fine, about, what)
    }

    fn skipped(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Grade::Skipped, about, what)
    }

    fn doubtful(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Grade::Doubtful, about, what)
    }

    fn broken(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Grade::Broken, about, what)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "ok",
            Self::Skipped => "-",
            Self::Doubtful => "DOUBT",
            Self::Broken => "BROKEN",
        })
    }
}

/// Looks at everything, and says what it found in each respect.
pub async fn examine(set_up: &SetUp) -> Result<Vec<Finding>, CannotAsk> {
    let probe = Probe::new(set_up.authority.as_deref(), is_on_this_machine(&set_up.entrance))?;
    // without an answer there is nothing else to look at, and one cause is one finding
    let answer = match service::first_answer(&probe, &set_up.entrance).await {
        Ok(answer) => answer,
        Err(finding) => return Ok(vec![finding]),
    };
    let (mut findings, about) = service::examine(&probe, set_up, answer).await;
    findings.extend(frame::examine(&probe, set_up, about.as_ref()).await);
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

/// An address without what may be a secret: user, query and fragment.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
