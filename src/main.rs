//! The binary: parses the command line and returns the exit code.

use std::process::ExitCode;

use marketplace_sso::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::of_process().run()
}
