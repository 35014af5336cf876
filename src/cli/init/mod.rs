//! `init`: writes a configuration, its secrets, and the snippets for the proxy and the page.

mod login;
mod plan;
mod platform;
mod questions;
mod write;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::check;
use super::report::Reporter;
use super::terminal::{FAINT, Mark, STRONG, Terminal, hang, output_width};
use super::{CommandResult, Failure};
use crate::config::{Config, Problem, Problems, Sources};
use crate::pandium::{Account, Environment};
use login::Login;
use plan::{Answers, CONFIG, PAGE, Plan};
use platform::Platform;
use questions::{Domain, answers, read_account, read_domain, read_environment, read_url};
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
    domain: Option<Domain>,
    /// Pandium's environment: production, sandbox or demo
    #[arg(long, value_name = "E", value_parser = read_environment)]
    environment: Option<Environment>,
    /// The account's name in the marketplace's URL, as Pandium gave it
    #[arg(long, value_name = "NAME", value_parser = read_account)]
    account: Option<Account>,
    /// How users are authenticated
    #[arg(long, value_name = "LOGIN", value_parser = logins())]
    login: Option<&'static Login>,
    /// For oidc and bearer: the issuer, exactly as its discovery document or its tokens have it
    #[arg(long, value_name = "URL", value_parser = read_url)]
    issuer: Option<String>,
    /// For oidc: the id of the client that you register at the provider
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// For bearer: the audience (aud) of the tokens for this service
    #[arg(long, value_name = "AUD")]
    audience: Option<String>,
    /// For bearer: the URL of the issuer's keys (JWKS)
    #[arg(long, value_name = "URL", value_parser = read_url)]
    jwks_url: Option<String>,
    /// A platform whose users sign on as well; may be repeated
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

/// Writes everything to a temporary folder within this one, and loads the configuration there, so
/// that a failure changes nothing.
fn rehearse(answers: &Answers, folder: &Path) -> CommandResult {
    let rehearsal = write::TemporaryFolder::new(folder).map_err(Failure::Running)?;
    let plan = answers.plan(rehearsal.path());
    write::write_all(&plan.files, false).map_err(Failure::Running)?;
    let sources = Sources { files: vec![rehearsal.path().join(CONFIG)], ..Sources::default() };
    let problems = match Config::load(&sources) {
        Ok(_) => return Ok(()),
        Err(Problems { problems, .. }) => problems,
    };
    let mut others = problems.into_iter().filter(|problem| !problem.is_placeholder()).peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    let mut message = "nothing was written, since the configuration could not be used:".to_owned();
    for problem in others {
        // without file and line: the file is temporary
        let _ = write!(message, "\n  {}", Problem { origin: None, ..problem }.one_line());
    }
    let (path, place) = (rehearsal.path().display().to_string(), folder.display().to_string());
    Err(Failure::Arguments(message.replace(&path, &place)))
}

/// Reports on the configuration as written, without the environment variables of this process. The next steps
/// say what to write in place of its placeholders.
fn check(config: &Path, terminal: Terminal) -> CommandResult {
    let sources = Sources { files: vec![config.to_owned()], ..Sources::default() };
    let (found, files) = match Config::load(&sources) {
        Ok(config) => (config.warnings(), config.files),
        // in production placeholders are problems
        Err(Problems { problems, files }) if problems.iter().all(Problem::is_placeholder) => {
            (problems, files)
        }
        Err(problems) => return Err(Failure::Configuration(problems)),
    };
    let (placeholders, warnings): (Vec<Problem>, Vec<Problem>) =
        found.into_iter().partition(Problem::is_placeholder);
    if !warnings.is_empty() {
        terminal.print_error(Reporter::new(&files).to_text(&warnings, Mark::Warning));
    }
    let (mark, verdict) = if placeholders.is_empty() {
        check::verdict(warnings.len())
    } else {
        let keys: Vec<&str> = placeholders.iter().map(|problem| problem.key.as_str()).collect();
        (Mark::Warning, format!("The configuration is complete except for {}.", keys.join(", ")))
    };
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
    let config = folder.join(CONFIG);
    let mut steps = vec![first];
    if !plan.to_replace.is_empty() {
        steps.push(format!(
            "In {CONFIG}, replace {}: they are placeholders; the comments say with what",
            plan.to_replace.join(", ")
        ));
    }
    steps.push(
        "Choose claims.sub before the first real user: it is the e-mail address unless set, and never changes \
         (docs/claims.md)"
            .to_owned(),
    );
    steps.push(plan.proxy_step.clone());
    steps.push(format!(
        "Run marketplace-sso serve --config {}. In addition to server.listen it listens at {} (server.admin_listen) for health, \
         metrics and the dashboard; change the port there if another program has it",
        config.display(),
        plan.admin_listen
    ));
    steps.push(format!(
        "Copy the lines of {PAGE} into your page, and see whether it works: marketplace-sso doctor {}",
        plan.service_origin
    ));
    match answers.environment {
        Environment::Production => {
            steps.push(format!(
                "Tell Pandium the domain of the page, {}; production requires it",
                answers.domain
            ));
        }
        Environment::Sandbox | Environment::Demo => {}
    }
    let mut text = format!("{STRONG}Next{STRONG:#}, in {}:\n", folder.display());
    for (number, step) in steps.iter().enumerate() {
        let _ = writeln!(text, "{}. {}.", number + 1, hang(step, "1. ".len(), output_width()));
    }
    text
}

impl Arguments {
    /// The value that was given for this setting of `[identity]`.
    fn identity(&self, key: &str) -> Option<&String> {
        let given = [
            ("issuer", &self.issuer),
            ("client_id", &self.client_id),
            ("audience", &self.audience),
            ("jwks_url", &self.jwks_url),
        ];
        given.into_iter().find(|(own, _)| *own == key)?.1.as_ref()
    }
}

fn logins() -> impl TypedValueParser<Value = &'static Login> {
    let values = login::ALL.iter().map(|login| PossibleValue::new(login.name).help(login.title));
    PossibleValuesParser::new(values).try_map(|name| login::find(&name).ok_or("there is no such login"))
}
