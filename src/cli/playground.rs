//! `playground`: the service, with simulated platforms and a simulated marketplace on this machine;
//! needs no account.

use std::net::SocketAddr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{CommandResult, Failure, print, print_error};
use crate::playground::{Playground, Simulated};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso playground
  marketplace-sso playground --listen 127.0.0.1:9000
  marketplace-sso playground --as commercetools

Open the address that it prints. Ctrl-C stops it.")]
pub(super) struct Arguments {
    /// Where the front end listens; the other servers use the next ports, or any free ones. By
    /// default 127.0.0.1:8088, or the next free port
    #[arg(long, value_name = "ADDR", value_parser = read_address)]
    listen: Option<SocketAddr>,
    /// Simulate a platform whose page sends a token, an OpenID provider (oidc), or mStudio (mittwald),
    /// in place of a sample app with a login
    #[arg(long = "as", value_name = "KIND", value_parser = kinds())]
    simulated: Option<Simulated>,
}

fn kinds() -> impl TypedValueParser<Value = Simulated> {
    let names = PossibleValuesParser::new(Simulated::names());
    names.try_map(|name| Simulated::find(&name).ok_or("there is no such platform here"))
}

/// Parses a socket address, or a port number, which means 127.0.0.1.
fn read_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    port.or_else(|_| text.parse())
        .map_err(|_| "write an address and a port, such as 127.0.0.1:9000".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    actix_web::rt::System::new().block_on(async {
        let playground =
            Playground::start(arguments.listen, arguments.simulated.unwrap_or(Simulated::LoginProxy)).await;
        let playground = playground.map_err(Failure::Running)?;
        if let Some(warning) = playground.warning() {
            print_error(&format!("warning: {warning}"));
        }
        print(playground.greeting())?;
        playground.run().await.map_err(Failure::Running)
    })
}
