//! `check`: reports what is wrong with the configuration, and shows what applies.

use clap::Args;

use super::{ConfigArguments, Failure, Outcome, complain, say};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso check --config sso.toml
  marketplace-sso check --config sso.toml --show      the settings that apply, secrets hidden
  marketplace-sso check --config sso.toml --strict    for CI: a warning is a problem too

Problems and warnings go to standard error. Exit status 78 where there is a problem.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Fail where there is a warning
    #[arg(long)]
    strict: bool,
    /// Show the settings that apply, and where each was given; secrets are hidden
    #[arg(long)]
    show: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let config = arguments.config.load()?;
    let warnings = config.warnings();
    if arguments.show {
        say(config.effective())?;
    }
    for warning in &warnings {
        complain(&format!("warning: {warning}"));
    }
    if arguments.strict && !warnings.is_empty() {
        return Err(Failure::Warnings(warnings.len()));
    }
    let verdict = match warnings.len() {
        0 => "The configuration is in order.".to_owned(),
        1 => "The configuration can be used, with a warning.".to_owned(),
        count => format!("The configuration can be used, with {count} warnings."),
    };
    // what --show prints stays TOML
    if arguments.show { say(format!("# {verdict}")) } else { say(verdict) }
}
