//! `doctor`: checks a running deployment from outside.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use url::Url;

use super::report::count;
use super::terminal::{FAINT, Format, Mark, STRONG, Terminal, hang, output_width};
use super::{CommandResult, Failure};
use crate::doctor::{self, Finding, Front, GivenAddress, Group, Report, Setup, Severity};
use crate::request::FieldName;
use crate::sign_on::Entrance;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso doctor https://app.example.com
  marketplace-sso doctor https://sso.example.com/pandium-sso \\
    --page https://app.example.com/integrations
  marketplace-sso doctor https://app.example.com \\
    --page https://app.example.com/integrations --cookie-file cookie.txt
  marketplace-sso doctor https://app.example.com \\
    --resolve app.example.com:443:192.0.2.7 --ca-file cert.pem

Run it from outside, where your users are. It changes nothing: it sends
requests as a browser does, as a client that forges identity headers does,
and, with a cookie, as that user.

Findings are grouped: proxy, frame, keys, sizes. Where the proxy is
recognised, or named with --front, it says what to write. Exit status 1 if
something is broken.")]
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
    /// A header in which your proxy sends the user's identity, if it is not in a preset; may be
    /// repeated
    #[arg(long = "identity-header", value_name = "NAME", value_parser = read_header_name)]
    identity_headers: Vec<String>,
    /// A certificate authority to trust in addition to the system's, in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// HOST:PORT:ADDRESS, in place of DNS, as curl --resolve accepts it; may be repeated
    #[arg(long = "resolve", value_name = "HOST:PORT:ADDRESS", value_parser = GivenAddress::parse)]
    addresses: Vec<GivenAddress>,
    /// The proxy in front of the service, if its responses do not name it
    #[arg(long, value_name = "PROXY", value_parser = fronts())]
    front: Option<Front>,
    #[arg(long, value_enum, default_value_t, help = "The form of the result")]
    format: Format,
}

fn fronts() -> impl TypedValueParser<Value = Front> {
    let names = PossibleValuesParser::new(Front::ALL.map(Front::name));
    names.try_map(|name| {
        Front::ALL.into_iter().find(|front| front.name() == name).ok_or("there is no such proxy here")
    })
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    url.ok_or("it is not an absolute http or https URL: write https:// and a host")
}

fn read_header_name(text: &str) -> Result<String, &'static str> {
    FieldName::parse(text).map(|name| name.as_str().to_owned()).ok_or("it is not a header name")
}

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let setup = setup(arguments)?;
    let report = actix_web::rt::System::new().block_on(doctor::run(&setup))?;
    let number = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let (broken, warnings) = (number(Severity::Broken), number(Severity::Warning));
    match arguments.format {
        Format::Json => terminal.print_json(&ReportJson::of(&report))?,
        Format::Text => {
            let with = match warnings {
                0 => String::new(),
                number => format!(", with {}", count(number, "warning")),
            };
            let is_only_one = report.findings.len() == 1;
            let (mark, verdict) = match broken {
                0 if warnings == 0 => (Mark::Good, "Nothing is broken.".to_owned()),
                0 => (Mark::Warning, format!("Nothing is broken{with}.")),
                _ if is_only_one => {
                    (Mark::Bad, "The first check failed, so no other one was made.".to_owned())
                }
                number => (Mark::Bad, format!("{number} of {} checks failed{with}.", report.findings.len())),
            };
            let text = to_text(&report);
            match is_only_one {
                true => terminal.print(text.trim_start())?,
                false => terminal.print(format!("{mark} {verdict}\n{text}"))?,
            }
            match broken {
                0 => terminal.print(format!("{mark} {verdict}"))?,
                _ => terminal.print_error(format!("{mark} {verdict}")),
            }
        }
    }
    if broken > 0 { Err(Failure::Reported(1)) } else { Ok(()) }
}

fn to_text(report: &Report) -> String {
    let mut text = String::new();
    let width = report.findings.iter().map(|finding| finding.topic.name.len()).max().unwrap_or_default();
    let mut needs_front = false;
    for group in Group::ALL {
        let of_group: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.topic.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{STRONG}{}{STRONG:#}", group.name());
        for Finding { severity, topic, message, remedy } in of_group {
            let mark = mark(*severity);
            let message = hang(message, "  ✓   ".chars().count() + width, output_width());
            let _ = writeln!(text, "  {mark} {:<width$}  {message}", topic.name);
            let snippet = remedy.as_ref().map(|remedy| remedy.snippet(report.front));
            needs_front |= matches!(snippet, Some(None)) && report.front.is_none();
            for line in snippet.flatten().iter().flat_map(|snippet| snippet.lines()) {
                let _ = writeln!(text, "        {FAINT}|{FAINT:#} {line}");
            }
        }
    }
    if needs_front {
        let hint = "The proxy in front is not recognised; name it with --front to see what to write in it.";
        let _ = writeln!(text, "\n{}", hang(hint, 0, output_width()));
    }
    text
}

const fn mark(severity: Severity) -> Mark {
    match severity {
        Severity::Ok => Mark::Good,
        Severity::Skipped => Mark::Skipped,
        Severity::Warning => Mark::Warning,
        Severity::Broken => Mark::Bad,
    }
}

/// The result for programs.
#[derive(Serialize)]
struct ReportJson<'a> {
    /// Whether no check failed.
    ok: bool,
    front: Option<&'static str>,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    group: &'static str,
    topic: &'static str,
    /// `ok`, `skipped`, `warning` or `broken`.
    severity: &'static str,
    message: &'a str,
    snippet: Option<String>,
}

impl<'a> ReportJson<'a> {
    fn of(Report { front, findings }: &'a Report) -> Self {
        let json = |Finding { severity, topic, message, remedy }: &'a Finding| FindingJson {
            group: topic.group.name(),
            topic: topic.name,
            severity: severity.name(),
            message,
            snippet: remedy.as_ref().and_then(|remedy| remedy.snippet(*front)),
        };
        Self {
            ok: findings.iter().all(|finding| finding.severity != Severity::Broken),
            front: front.map(Front::name),
            findings: findings.iter().map(json).collect(),
        }
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
    let addresses = arguments.addresses.clone();
    let is_used = |given: &&GivenAddress| {
        given.applies_to(&entrance) || page.as_ref().is_some_and(|page| given.applies_to(page))
    };
    if let Some(unused) = addresses.iter().find(|given| !is_used(given)) {
        return Err(Failure::Arguments(format!(
            "--resolve names {}, which neither URL nor --page has: compare the host and the port, 443 for https and \
             80 for http",
            unused.authority()
        )));
    }
    Ok(Setup { entrance, page, identity_headers, cookie, authority, front: arguments.front, addresses })
}
