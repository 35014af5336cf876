//! The command line: arguments in, exit code out. One file a command.

mod check;
mod doctor;
mod healthcheck;
mod inspect;
mod mint;
#[cfg(feature = "playground")]
mod playground;
mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Problems, Sources};

/// Signs logged-in users on to an embedded Pandium marketplace.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = examples())]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Arguments),
    /// Show everything on this machine: a sample app or a platform's page, this service, a stand-in marketplace
    #[cfg(feature = "playground")]
    Playground(playground::Arguments),
    /// Report what is wrong with the configuration, and show what applies
    Check(check::Arguments),
    /// Print the address that a user would be sent to
    Mint(mint::Arguments),
    /// Verify a token and explain each claim
    Inspect(inspect::Arguments),
    /// Look at a running set-up from outside, and tell what would break it
    Doctor(doctor::Arguments),
    /// SignOnRequest a running service whether it is ready; for images without a shell
    Healthcheck(healthcheck::Arguments),
}

fn examples() -> String {
    let playground = if cfg!(feature = "playground") {
        "  marketplace-sso playground                      see it work, with no account\n"
    } else {
        ""
    };
    format!(
        "Examples:\n{playground}  \
         marketplace-sso check --config sso.toml         find what is wrong with the settings\n  \
         marketplace-sso serve --config sso.toml         run the service\n\n\
         Exit status: 0 done, 1 failed while running, 2 wrong arguments, 78 wrong configuration."
    )
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// A configuration file; may be repeated, the later wins. Without one, the file named by SSO_CONFIG
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
    /// Exit status 78: so many warnings, where none is accepted.
    Warnings(usize),
}

type Outcome = Result<(), Failure>;

/// `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

impl CommandLine {
    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Serve(arguments) => serve::run(&arguments),
            #[cfg(feature = "playground")]
            Command::Playground(arguments) => playground::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Mint(arguments) => mint::run(&arguments),
            Command::Inspect(arguments) => inspect::run(&arguments),
            Command::Doctor(arguments) => doctor::run(&arguments),
            Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                complain(&failure);
                failure.exit_code()
            }
        }
    }
}

impl ConfigArguments {
    fn load(&self) -> Result<Config, Failure> {
        let environment = self.environment.iter().map(|value| ("environment".to_owned(), value.clone()));
        let sources = Sources::from_process(self.config.clone(), environment.collect::<BTreeMap<_, _>>());
        Config::load(&sources).map_err(Failure::Configuration)
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Running(_) => ExitCode::FAILURE,
            Self::Arguments(_) => ExitCode::from(2),
            Self::Configuration(_) | Self::Warnings(_) => ExitCode::from(EX_CONFIG),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(error) => write!(f, "error: {error:#}"),
            Self::Arguments(what) => write!(f, "error: {what}"),
            Self::Configuration(problems) => write!(f, "error: {problems}"),
            Self::Warnings(1) => write!(f, "error: with --strict, the warning above is a problem"),
            Self::Warnings(count) => {
                write!(f, "error: with --strict, the {count} warnings above are problems")
            }
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Running(error.into())
    }
}

/// Writes to standard error.
fn complain(text: &impl fmt::Display) {
    // there is no third place to report to
    let _ = write_line(std::io::stderr(), text);
}

/// Writes to standard output.
fn say(text: impl fmt::Display) -> Outcome {
    Ok(write_line(std::io::stdout(), &text)?)
}

/// Writes a line. A reader that has closed the pipe, as `head` does, has read
/// enough: that is no error.
fn write_line(mut to: impl Write, text: &impl fmt::Display) -> io::Result<()> {
    match to.write_all(format!("{text}\n").as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
