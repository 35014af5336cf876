//! `init`: writes a configuration, its secrets, and the snippets for the proxy and the page.

mod login;
mod plan;
mod platform;
mod write;

use std::fmt::Write as _;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use url::Host;

use super::check;
use super::report::Reporter;
use super::terminal::{FAINT, Mark, STRONG, Terminal, hang, output_width};
use super::{CommandResult, Failure};
use crate::config::{Config, Problem, Problems, Sources};
use crate::pandium::{Account, Environment};
use login::Login;
use plan::{Answers, CONFIG, PAGE, Plan};
use platform::Platform;
use write::Written;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso init                   asks for what it needs
  marketplace-sso init --domain app.example.com --environment sandbox \\
    --account acme --login nginx-oauth2-proxy --dir /etc/marketplace-sso

It writes marketplace-sso.toml, the secrets that it names (random, mode 600),
the files for the proxy and its login, and page.html; then it checks the
configuration. Existing files are never overwritten without --force, and
secrets not even then.")]
pub(super) struct Arguments {
    /// The host name of your application, as its users see it
    #[arg(long, value_name = "HOST", value_parser = read_domain)]
    domain: Option<String>,
    /// Pandium's environment: production, sandbox or demo
    #[arg(long, value_name = "E", value_parser = read_environment)]
    environment: Option<Environment>,
    /// The account's name in the marketplace's URL, as Pandium gave it
    #[arg(long, value_name = "NAME", value_parser = read_account)]
    account: Option<Account>,
    /// The login that stands in front of the service
    #[arg(long, value_name = "LOGIN", value_parser = logins())]
    login: Option<&'static Login>,
    /// A platform whose users sign on too; may be repeated
    #[arg(long = "platform", value_name = "PLATFORM", value_enum)]
    platforms: Vec<Platform>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Overwrite existing files, except secrets
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let answers = answers(arguments, terminal, &mut std::io::stdin().lock())?;
    std::fs::create_dir_all(&arguments.dir)
        .and_then(|()| arguments.dir.canonicalize())
        .map_err(|error| {
            Failure::Arguments(format!("the folder {} cannot be used: {error}", arguments.dir.display()))
        })
        .and_then(|folder| write_all(&answers, &folder, arguments.force, terminal))
}

fn write_all(answers: &Answers, folder: &Path, force: bool, terminal: Terminal) -> CommandResult {
    let plan = answers.plan(folder);
    let existing = write::existing(&plan.files);
    if !force && !existing.is_empty() {
        let names: Vec<String> = existing.iter().map(|path| path.display().to_string()).collect();
        let message = format!(
            "nothing was written, since these exist: {}. Choose another folder with --dir, or overwrite them with --force",
            names.join(", ")
        );
        return Err(Failure::Arguments(message));
    }
    rehearse(answers, folder)?;
    let written = write::write_all(&plan.files, force).map_err(Failure::Running)?;
    for (file, written) in plan.files.iter().zip(written) {
        let written = match written {
            Written::New | Written::Replaced => "wrote",
            Written::Kept => "kept ",
        };
        let (path, purpose) = (file.path.display(), file.purpose);
        terminal.print(format!("{} {written} {path}  {FAINT}{purpose}{FAINT:#}", Mark::Good))?;
    }
    check(&folder.join(CONFIG), terminal)?;
    terminal.print(next_steps(&plan, answers, folder).trim_end())
}

/// Writes everything to a folder within this one, which is removed again, and loads the configuration
/// there: a failure leaves nothing behind.
fn rehearse(answers: &Answers, folder: &Path) -> CommandResult {
    let rehearsal = write::TemporaryFolder::new(folder).map_err(Failure::Running)?;
    let plan = answers.plan(rehearsal.path());
    write::write_all(&plan.files, false).map_err(Failure::Running)?;
    let sources = Sources { files: vec![rehearsal.path().join(CONFIG)], ..Sources::default() };
    Config::load(&sources).map(drop).map_err(|Problems { problems, .. }| {
        let mut message = "nothing was written, since the configuration could not be used:".to_owned();
        for problem in problems {
            // the lines are of a file that is removed
            let _ = write!(message, "\n  {}", Problem { origin: None, ..problem }.one_line());
        }
        let (path, place) = (rehearsal.path().display().to_string(), folder.display().to_string());
        Failure::Arguments(message.replace(&path, &place))
    })
}

/// Reports on the configuration as written, without the environment variables of this process.
fn check(config: &Path, terminal: Terminal) -> CommandResult {
    let sources = Sources { files: vec![config.to_owned()], ..Sources::default() };
    let config = Config::load(&sources).map_err(Failure::Configuration)?;
    let warnings = config.warnings();
    let (mark, verdict) = check::verdict(warnings.len());
    if !warnings.is_empty() {
        terminal.print_error(Reporter::new(&config.files).to_text(&warnings, Mark::Warning));
    }
    terminal.print(format!("\n{mark} {verdict}\n"))
}

fn next_steps(plan: &Plan, answers: &Answers, folder: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut first = String::from("Replace the random text in ");
    for (index, (path, issuer)) in plan.issued_secrets.iter().enumerate() {
        let (name, environment) = (name(path), answers.environment);
        let _ = match index {
            0 => write!(first, "{name} by the secret that {issuer} gave you for {environment}"),
            _ => write!(first, ", in {name} by that of {issuer}"),
        };
    }
    if plan.has_placeholders {
        let _ = write!(first, ". In {CONFIG}, set each value whose comment begins with \"replace\"");
    }
    let config = folder.join(CONFIG);
    let last = format!(
        "Run marketplace-sso serve --config {}, copy the lines of {PAGE} into your page, and see whether it works: \
         marketplace-sso doctor {}",
        config.display(),
        plan.service_origin
    );
    let mut text = format!("{STRONG}Next{STRONG:#}, in {}:\n", folder.display());
    for (number, step) in [first, plan.proxy_step.clone(), last].iter().enumerate() {
        let _ = writeln!(text, "{}. {}.", number + 1, hang(step, "1. ".len(), output_width()));
    }
    text
}

/// The answers that the arguments give; what is missing is asked for.
fn answers(arguments: &Arguments, terminal: Terminal, input: &mut impl BufRead) -> Result<Answers, Failure> {
    let mut questions = Questions { terminal, input };
    let is_complete = arguments.domain.is_some()
        && arguments.environment.is_some()
        && arguments.account.is_some()
        && arguments.login.is_some();
    let domain = match &arguments.domain {
        Some(domain) => domain.clone(),
        None => questions.ask(
            "--domain",
            "Host name of your application, such as app.example.com",
            None,
            read_domain,
        )?,
    };
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
    let platforms = if is_complete || !arguments.platforms.is_empty() {
        arguments.platforms.clone()
    } else {
        let question = "Platforms whose users sign on too: appdirect, commercetools, caf, mittwald, or none";
        questions.ask("--platform", question, Some("none"), read_platforms)?
    };
    Ok(Answers { domain, environment, account, login, platforms })
}

/// Asks on standard error; the answers are lines of the input.
struct Questions<'a, R> {
    terminal: Terminal,
    input: &'a mut R,
}

impl<R: BufRead> Questions<'_, R> {
    /// Asks until the answer can be used.
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
    let mut text = "Login in front of the service, by number or name".to_owned();
    for (index, Login { name, title, .. }) in login::ALL.iter().enumerate() {
        let _ = write!(text, "\n  {:>2}  {name:<20} {title}", index + 1);
    }
    text
}

fn logins() -> impl TypedValueParser<Value = &'static Login> {
    let values = login::ALL.iter().map(|login| PossibleValue::new(login.name).help(login.title));
    PossibleValuesParser::new(values).try_map(|name| login::find(&name).ok_or("there is no such login"))
}

fn read_login(text: &str) -> Result<&'static Login, String> {
    let by_number = text.parse::<usize>().ok().and_then(|number| login::ALL.get(number.checked_sub(1)?));
    by_number.or_else(|| login::find(text)).ok_or_else(|| "write one of the numbers or names".to_owned())
}

fn read_platforms(text: &str) -> Result<Vec<Platform>, String> {
    let names = text.split([',', ' ']).filter(|name| !matches!(*name, "" | "none"));
    names.map(|name| Platform::from_str(name, true)).collect()
}

fn read_environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|_| "write production, sandbox or demo".to_owned())
}

fn read_account(text: &str) -> Result<Account, String> {
    Account::parse(text).map_err(|error| format!("{error}; write the name alone, such as acme"))
}

/// A host name, also as part of an https URL.
fn read_domain(text: &str) -> Result<String, String> {
    let host = text.trim().trim_start_matches("https://").trim_end_matches('/');
    match Host::parse(host) {
        Ok(Host::Domain(name)) if name.contains('.') && name.split('.').all(is_label) => Ok(name),
        Ok(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => {
            Err("write the host name of your application, such as app.example.com: letters, digits and \
                 hyphens between dots"
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
