//! The command line: parses arguments, runs a command, returns its exit code.
//! One file for each command.

mod audit;
mod check;
mod doctor;
mod generate;
mod healthcheck;
mod init;
mod inspect;
mod mint;
#[cfg(feature = "playground")]
mod playground;
mod report;
mod serve;
mod store;
mod terminal;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};

use report::{Reporter, count};
use terminal::{Color, Mark, Terminal, write_line};

use crate::config::{Config, Problem, Problems, Sources};
use crate::store::{IfMissing, Store, StoreSettings};

/// Signs logged-in users on to an embedded Pandium marketplace.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = examples())]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// When output is coloured
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Arguments),
    /// Run a demo on this machine, without an account
    #[cfg(feature = "playground")]
    Playground(playground::Arguments),
    /// Write a configuration, and the snippets for proxy and page
    Init(init::Arguments),
    /// Report problems of the configuration; show effective settings
    Check(check::Arguments),
    /// Print the URL to which a user would be redirected
    Mint(mint::Arguments),
    /// Verify a token and explain each claim
    Inspect(inspect::Arguments),
    /// Read, export and verify stored audit events; erase a person
    Audit(audit::Arguments),
    /// Create, list and revoke the API tokens of programs
    Token(token::Arguments),
    /// Maintain the store: encrypt its secrets with another key
    Store(store::Arguments),
    /// Check a running deployment from outside; report what is broken
    Doctor(doctor::Arguments),
    /// Check whether a service is ready; for images without a shell
    Healthcheck(healthcheck::Arguments),
    /// Print the completions for a shell
    Completions(generate::CompletionArguments),
    /// Write the manual pages
    Man(generate::ManArguments),
}

fn examples() -> String {
    let playground = if cfg!(feature = "playground") {
        "  marketplace-sso playground                try it out, without an account\n"
    } else {
        ""
    };
    format!(
        "Examples:\n{playground}  \
         marketplace-sso init                      write a configuration\n  \
         marketplace-sso check --config sso.toml   find problems in the settings\n  \
         marketplace-sso serve --config sso.toml   run the service\n\n\
         Exit status: 0 done, 1 failed while running, 2 wrong arguments,\n\
         78 wrong configuration."
    )
}

/// The arguments that name the configuration.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// A configuration file; may be repeated, later files override. Without one, the file named by
    /// SSO_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Pandium's environment: production, sandbox or demo
    #[arg(long, value_name = "E")]
    environment: Option<String>,
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// Exit status 1.
    Running(anyhow::Error),
    /// Exit status 2.
    Arguments(String),
    /// Exit status 78.
    Configuration(Problems),
    /// This exit status; the command has reported why.
    Reported(u8),
}

type CommandResult = Result<(), Failure>;

/// `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

/// The time limit of a store operation in a command. It is long, because no request waits for a
/// response.
const STORE_TIME_LIMIT: Duration = Duration::from_secs(600);

impl CommandLine {
    /// Parses the arguments of this process. If they are invalid, reports why and exits.
    pub fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            if argument.is_some_and(|argument| argument.ends_with(".toml")) {
                let tip = StyledStr::from("name a configuration file with '--config FILE'");
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
            }
            error.exit()
        })
    }

    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let terminal = Terminal::new(self.color);
        let result = match self.command {
            Command::Serve(arguments) => serve::run(&arguments),
            #[cfg(feature = "playground")]
            Command::Playground(arguments) => playground::run(&arguments),
            Command::Init(arguments) => init::run(&arguments, terminal),
            Command::Check(arguments) => check::run(&arguments, terminal),
            Command::Mint(arguments) => mint::run(&arguments, terminal),
            Command::Inspect(arguments) => inspect::run(&arguments, terminal),
            Command::Audit(arguments) => audit::run(&arguments),
            Command::Token(arguments) => token::run(&arguments),
            Command::Store(arguments) => store::run(&arguments),
            Command::Doctor(arguments) => doctor::run(&arguments, terminal),
            Command::Healthcheck(arguments) => healthcheck::run(&arguments),
            Command::Completions(arguments) => generate::completions(&arguments, Self::command(), terminal),
            Command::Man(arguments) => generate::man(&arguments, Self::command()),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                failure.print(terminal);
                failure.exit_code()
            }
        }
    }
}

impl ConfigArguments {
    fn load(&self) -> Result<Config, Failure> {
        self.read().map_err(Failure::Configuration)
    }

    fn read(&self) -> Result<Config, Problems> {
        let environment = self.environment.iter().map(|value| ("environment".to_owned(), value.clone()));
        let sources = Sources::from_process(self.config.clone(), environment.collect::<BTreeMap<_, _>>());
        Config::load(&sources)
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Running(_) => ExitCode::FAILURE,
            Self::Arguments(_) => ExitCode::from(2),
            Self::Configuration(_) => ExitCode::from(EX_CONFIG),
            Self::Reported(status) => ExitCode::from(*status),
        }
    }

    fn print(&self, terminal: Terminal) {
        match self {
            Self::Running(error) => {
                terminal.print_error(format!("{0}error:{0:#} {error:#}", Mark::Bad.style()))
            }
            Self::Arguments(message) => {
                terminal.print_error(format!("{0}error:{0:#} {message}", Mark::Bad.style()))
            }
            Self::Configuration(Problems { problems, files }) => {
                let verdict =
                    format!("{} The configuration has {}.", Mark::Bad, count(problems.len(), "problem"));
                let reported = Reporter::new(files).to_text(problems, Mark::Bad);
                terminal.print_error(format!("{verdict}\n{reported}\n{verdict}"));
            }
            Self::Reported(_) => {}
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Running(error.into())
    }
}

/// Opens the configured store. `what` and `help`: the problem to report if there is none, and the
/// remedy.
async fn open_store(
    config: &Config,
    if_missing: IfMissing,
    what: &str,
    help: &str,
) -> Result<Store, Failure> {
    let Some(settings) = &config.store else {
        let (key, what, help) = ("store.url".to_owned(), what.to_owned(), help.to_owned());
        let problem = Problem { key, origin: None, what, help };
        return Err(Failure::Configuration(Problems { problems: vec![problem], files: Vec::new() }));
    };
    let settings = StoreSettings { timeout: STORE_TIME_LIMIT, ..settings.clone() };
    Store::open(&settings, if_missing)
        .await
        .map_err(|error| Failure::Running(anyhow::anyhow!("the store {}: {error}", settings.url)))
}

/// Writes to standard error.
fn print_error(text: &impl fmt::Display) {
    // there is nowhere else to report a failed write
    let _ = write_line(std::io::stderr(), text);
}

/// Writes to standard output.
fn print(text: impl fmt::Display) -> CommandResult {
    Ok(write_line(std::io::stdout(), &text)?)
}
