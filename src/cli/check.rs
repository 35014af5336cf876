//! `check`: tells what is wrong with the configuration, then what applies.

use clap::Args;

use super::{ConfigArguments, Outcome, say};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso check --config sso.toml

Exit status 78 where something is wrong. Secrets are hidden in what is printed.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let config = arguments.config.load()?;
    say(config.effective())?;
    for warning in config.warnings() {
        say(format!("# warning: {warning}"))?;
    }
    say("# The configuration is in order.")
}
