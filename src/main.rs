//! The program: command line in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use marketplace_sso::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
