//! `completions` and `man`: files that packages install next to the program, generated from its
//! arguments.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use super::terminal::Terminal;
use super::{CommandResult, Failure};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso completions bash \\
    > /usr/share/bash-completion/completions/marketplace-sso
  marketplace-sso completions zsh \\
    > /usr/share/zsh/site-functions/_marketplace-sso
  marketplace-sso completions fish \\
    > ~/.config/fish/completions/marketplace-sso.fish")]
pub(super) struct CompletionArguments {
    /// The shell for which they are
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso man /usr/share/man/man1

It writes marketplace-sso.1, and a page for each command, such as
marketplace-sso-check.1.")]
pub(super) struct ManArguments {
    /// The folder to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the completions of a shell to standard output. `command`: the whole program's.
pub(super) fn completions(
    arguments: &CompletionArguments,
    mut command: Command,
    terminal: Terminal,
) -> CommandResult {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    terminal.print(String::from_utf8_lossy(&script).trim_end())
}

/// Writes the manual pages. `command`: the whole program's.
pub(super) fn man(arguments: &ManArguments, command: Command) -> CommandResult {
    let ManArguments { dir } = arguments;
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written
        .with_context(|| format!("the manual pages cannot be written to {}", dir.display()))
        .map_err(Failure::Running)
}
