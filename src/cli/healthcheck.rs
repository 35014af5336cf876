//! `healthcheck`: checks whether a running service is ready. For images with
//! neither a shell nor curl.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::{CommandResult, Failure, print};
use crate::config::Listen;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso healthcheck
  marketplace-sso healthcheck 127.0.0.1:9090
  marketplace-sso healthcheck unix:/run/marketplace-sso.sock

Exit status 0 if the service is ready, 1 otherwise.")]
pub(super) struct Arguments {
    /// The address at which the service listens
    #[arg(value_name = "ADDRESS", env = "SSO_SERVER__LISTEN", default_value = "127.0.0.1:8080")]
    address: String,
}

/// The time limit of each step: connect, write, read.
const TIME_LIMIT: Duration = Duration::from_secs(3);

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    let address = arguments.address.trim_start_matches("http://").trim_end_matches('/');
    let listen = Listen::parse(address)
        .map_err(|error| Failure::Arguments(format!("the address {address:?} cannot be used: {error}")))?;
    let status = fetch_status_line(&listen).map_err(Failure::Running)?;
    if status.contains(" 200 ") {
        print("ready")
    } else {
        Err(Failure::Running(anyhow::anyhow!("the service at {listen} is not ready: {status}")))
    }
}

/// The status line of the response.
fn fetch_status_line(listen: &Listen) -> anyhow::Result<String> {
    match listen {
        Listen::Tcp(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                // 0.0.0.0 and [::] include the loopback address
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)
                .with_context(|| format!("cannot connect to {listen}"))?;
            stream.set_read_timeout(Some(TIME_LIMIT))?;
            stream.set_write_timeout(Some(TIME_LIMIT))?;
            exchange(stream)
        }
        Listen::Unix(path) => {
            let stream = UnixStream::connect(path).with_context(|| format!("cannot connect to {listen}"))?;
            stream.set_read_timeout(Some(TIME_LIMIT))?;
            stream.set_write_timeout(Some(TIME_LIMIT))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> anyhow::Result<String> {
    stream.write_all(REQUEST).context("the request cannot be sent")?;
    let mut status = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut status).context("no response")?;
    Ok(status.trim_end().to_owned())
}
