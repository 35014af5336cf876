//! `playground`: everything on this machine, and no account needed.

use std::net::SocketAddr;

use clap::Args;

use super::{Failure, Outcome};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso playground
  marketplace-sso playground --listen 127.0.0.1:9000

Open the address that it prints. Ctrl-C stops it.")]
pub(super) struct Arguments {
    /// Where the sample app listens; the stand-in marketplace takes the next port, or any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088", value_parser = read_address)]
    listen: SocketAddr,
}

/// An address with a port, or a port on this machine.
fn read_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    port.or_else(|_| text.parse())
        .map_err(|_| "write an address and a port, such as 127.0.0.1:9000".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    actix_web::rt::System::new().block_on(crate::playground::run(arguments.listen)).map_err(Failure::Running)
}
