//! `doctor`: checks a running deployment from outside.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::terminal::Terminal;
use super::{CommandResult, Failure};
use crate::doctor::{self, Setup, Severity};
use crate::request::FieldName;
use crate::sign_on::Entrance;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso doctor https://app.example.com
  marketplace-sso doctor https://sso.example.com/pandium-sso --page https://app.example.com/integrations
  marketplace-sso doctor https://app.example.com --page https://app.example.com/integrations --cookie-file cookie.txt

Run it from outside, where your users are. It changes nothing: it sends requests as a browser does,
as a client that forges identity headers does, and, with a cookie, as that user.

Exit status 1 if something is broken.")]
pub(super) struct Arguments {
    /// The URL of the entrance, as browsers use it; without a path, /pandium-sso
    #[arg(value_name = "URL", value_parser = read_url)]
    url: Url,
    /// The URL of the page that embeds it
    #[arg(long, value_name = "URL", value_parser = read_url)]
    page: Option<Url>,
    /// A file with the Cookie header of a signed-in user: name=value; name=value
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// A header in which your proxy sends the user's identity, if no preset has it; may be repeated
    #[arg(long = "identity-header", value_name = "NAME", value_parser = read_header_name)]
    identity_headers: Vec<String>,
    /// A certificate authority to trust in addition to the system's, in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    url.ok_or("it is not an absolute http or https URL: write https:// and a host")
}

fn read_header_name(text: &str) -> Result<String, &'static str> {
    FieldName::parse(text).map(|name| name.as_str().to_owned()).ok_or("it is not a header name")
}

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let findings = actix_web::rt::System::new().block_on(doctor::run(&setup(arguments)?))?;
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(text, "{:<7} {:<15} {}", finding.severity, finding.topic, finding.message);
    }
    terminal.print(text.trim_end())?;
    match findings.iter().filter(|finding| finding.severity == Severity::Broken).count() {
        0 => Ok(()),
        1 => Err(Failure::Running(anyhow::anyhow!("1 check failed"))),
        count => Err(Failure::Running(anyhow::anyhow!("{count} checks failed"))),
    }
}

fn setup(arguments: &Arguments) -> Result<Setup, Failure> {
    let mut entrance = arguments.url.clone();
    if matches!(entrance.path(), "" | "/") {
        entrance.set_path(Entrance::MAIN_PATH);
        entrance.set_query(None);
    }
    entrance.set_fragment(None);
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            Failure::Arguments(format!("the file {} cannot be read: {error}", path.display()))
        })
    };
    let cookie = arguments.cookie_file.as_ref().map(read).transpose()?;
    let cookie = cookie.map(|bytes| {
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        match text.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("cookie") => value.trim().to_owned(),
            _ => text,
        }
    });
    if cookie.as_ref().is_some_and(|cookie| !cookie.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
        let message = "the cookie file holds more than one line; write name=value; name=value";
        return Err(Failure::Arguments(message.to_owned()));
    }
    let authority = arguments.ca_file.as_ref().map(read).transpose()?;
    let (page, identity_headers) = (arguments.page.clone(), arguments.identity_headers.clone());
    Ok(Setup { entrance, page, identity_headers, cookie, authority })
}
