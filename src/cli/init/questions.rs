//! The answers on which the files of `init` depend: from its arguments, and from questions for
//! those that are missing.

use std::fmt::Write as _;
use std::io::BufRead;

use clap::ValueEnum;
use url::{Host, Url};

use super::Arguments;
use super::login::{self, Login, ToSet};
use super::plan::Answers;
use super::platform::Platform;
use crate::cli::Failure;
use crate::cli::terminal::{Mark, STRONG, Terminal};
use crate::pandium::{Account, Environment};

/// The host name of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    name: String,
    /// Whether the user wrote it as a part of a URL.
    is_of_url: bool,
}

/// Takes the answers from the arguments, and asks for those that are missing.
pub(super) fn answers(
    arguments: &Arguments,
    terminal: Terminal,
    input: &mut impl BufRead,
) -> Result<Answers, Failure> {
    let mut questions = Questions { terminal, input };
    let is_complete = arguments.domain.is_some()
        && arguments.environment.is_some()
        && arguments.account.is_some()
        && arguments.login.is_some();
    let Domain { name: domain, is_of_url } = match &arguments.domain {
        Some(domain) => domain.clone(),
        None => questions.ask(
            "--domain",
            "Host name of your application, such as app.example.com",
            None,
            read_domain,
        )?,
    };
    if is_of_url {
        terminal.print_error(format!("{} the host of the URL is taken: {domain}", Mark::Good));
    }
    let environment = match arguments.environment {
        Some(environment) => environment,
        None => {
            let question = "Pandium's environment: production, sandbox or demo";
            questions.ask("--environment", question, Some("sandbox"), read_environment)?
        }
    };
    let account = match &arguments.account {
        Some(account) => account.clone(),
        None => questions.ask("--account", "Name of your account at Pandium", None, read_account)?,
    };
    let login = match arguments.login {
        Some(login) => login,
        None => questions.ask("--login", &login_question(), None, read_login)?,
    };
    let identity = identity(arguments, login, is_complete, &mut questions)?;
    let platforms = if is_complete || !arguments.platforms.is_empty() {
        arguments.platforms.clone()
    } else {
        let question =
            "Platforms whose users sign on as well: appdirect, commercetools, caf, mittwald, or none";
        questions.ask("--platform", question, Some("none"), read_platforms)?
    };
    Ok(Answers { domain, environment, account, login, identity, platforms })
}

/// The values of the settings of `[identity]` that only the user knows; without those that the user
/// leaves open.
fn identity<R: BufRead>(
    arguments: &Arguments,
    login: &Login,
    is_complete: bool,
    questions: &mut Questions<'_, R>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut known = Vec::new();
    for setting in &login::TO_SET {
        let ToSet { key, flag, question, is_url } = setting;
        let given = arguments.identity(key);
        let value = match given {
            Some(_) if !login.has(setting) => {
                let of: Vec<&str> =
                    login::ALL.iter().filter(|login| login.has(setting)).map(|login| login.name).collect();
                return Err(Failure::Arguments(format!("{flag} is for --login {} only", of.join(" and "))));
            }
            Some(value) => Some(value.clone()),
            None if is_complete || !login.has(setting) => None,
            None => {
                let question = format!("{question}; leave it empty to set it later");
                let read = |text: &str| match text {
                    "" => Ok(None),
                    text if *is_url => read_url(text).map(Some),
                    text => Ok(Some(text.to_owned())),
                };
                questions.ask(flag, &question, None, read)?
            }
        };
        known.extend(value.map(|value| (*key, value)));
    }
    Ok(known)
}

/// Asks on standard error; the answers are lines of the input.
struct Questions<'a, R> {
    terminal: Terminal,
    input: &'a mut R,
}

impl<R: BufRead> Questions<'_, R> {
    /// Asks until the answer is valid.
    fn ask<T>(
        &mut self,
        flag: &str,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            self.terminal.print_error(format!("{STRONG}{question}{STRONG:#}{shown}:"));
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Err(Failure::Arguments(format!(
                    "{flag} is missing: give it, or answer the question"
                )));
            }
            let answer =
                Some(line.trim()).filter(|answer| !answer.is_empty()).or(default).unwrap_or_default();
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.terminal.print_error(format!("{} {why}", Mark::Bad)),
            }
        }
    }
}

fn login_question() -> String {
    let mut text = "How users are authenticated:".to_owned();
    for (index, Login { name, title, .. }) in login::ALL.iter().enumerate() {
        let _ = write!(text, "\n  {:>2}  {name:<20} {title}", index + 1);
    }
    text.push_str("\nNumber or name");
    text
}

fn read_login(text: &str) -> Result<&'static Login, String> {
    let by_number = text.parse::<usize>().ok().and_then(|number| login::ALL.get(number.checked_sub(1)?));
    by_number.or_else(|| login::find(text)).ok_or_else(|| "write one of the numbers or names".to_owned())
}

fn read_platforms(text: &str) -> Result<Vec<Platform>, String> {
    let names = text.split([',', ' ']).filter(|name| !matches!(*name, "" | "none"));
    names.map(|name| Platform::from_str(name, true)).collect()
}

pub(super) fn read_environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|_| "write production, sandbox or demo".to_owned())
}

pub(super) fn read_account(text: &str) -> Result<Account, String> {
    Account::parse(text).map_err(|error| format!("{error}; write only the name, such as acme"))
}

/// An https URL, as it is written: issuers are compared as strings.
pub(super) fn read_url(text: &str) -> Result<String, String> {
    let is_https = Url::parse(text).is_ok_and(|url| url.scheme() == "https");
    if is_https { Ok(text.to_owned()) } else { Err("write a URL that begins with https://".to_owned()) }
}

/// A host name, also as a part of a URL without a port.
pub(super) fn read_domain(text: &str) -> Result<Domain, String> {
    let text = text.trim();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or(text);
    match Host::parse(host) {
        Ok(Host::Domain(name)) if name.contains('.') && name.split('.').all(is_label) => {
            Ok(Domain { name, is_of_url: rest.is_some() })
        }
        Ok(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => {
            Err("write the host name of your application, such as app.example.com: letters, digits and \
                 hyphens between dots, without a port"
                .to_owned())
        }
    }
}

/// Whether a part of a lower-case host name is one of a host (RFC 1123, section 2.1).
fn is_label(label: &str) -> bool {
    let is_letter_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    label.len() <= 63
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| is_letter_or_digit(byte) || byte == b'-')
}
