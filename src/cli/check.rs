//! `check`: reports every problem of the configuration, and shows the effective
//! settings.

use clap::Args;

use super::{CommandResult, ConfigArguments, Failure, print, print_error};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso check --config sso.toml
  marketplace-sso check --config sso.toml --show      the effective settings, secrets hidden
  marketplace-sso check --config sso.toml --strict    for CI: warnings are problems too

Problems and warnings go to standard error. Exit status 78 if there is a problem.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Fail if there is a warning
    #[arg(long)]
    strict: bool,
    /// Show the effective settings, and where each was given; secrets are hidden
    #[arg(long)]
    show: bool,
}

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let warnings = config.warnings();
    if arguments.show {
        print(config.effective())?;
    }
    for warning in &warnings {
        print_error(&format!("warning: {warning}"));
    }
    if arguments.strict && !warnings.is_empty() {
        return Err(Failure::Warnings(warnings.len()));
    }
    let summary = match warnings.len() {
        0 => "The configuration is in order.".to_owned(),
        1 => "The configuration can be used, with a warning.".to_owned(),
        count => format!("The configuration can be used, with {count} warnings."),
    };
    // the output of --show is TOML
    if arguments.show { print(format!("# {summary}")) } else { print(summary) }
}
