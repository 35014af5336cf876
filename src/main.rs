//! The binary: parses the command line and returns the exit code.

use std::process::ExitCode;

use clap::Parser;
use marketplace_sso::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
