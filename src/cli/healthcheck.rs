//! `healthcheck`: asks a running service whether it is ready. For images that
//! have neither a shell nor curl.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::{Failure, Outcome, say};
use crate::config::Listen;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso healthcheck
  marketplace-sso healthcheck 127.0.0.1:9090
  marketplace-sso healthcheck unix:/run/marketplace-sso.sock

Exit status 0 where the service is ready, 1 otherwise.")]
pub(super) struct Arguments {
    /// Where the service listens
    #[arg(value_name = "ADDRESS", env = "SSO_SERVER__LISTEN", default_value = "127.0.0.1:8080")]
    address: String,
}

/// How long each step may take.
const TIME_LIMIT: Duration = Duration::from_secs(3);

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let address = arguments.address.trim_start_matches("http://").trim_end_matches('/');
    let listen = Listen::parse(address)
        .map_err(|why| Failure::Arguments(format!("the address {address:?} cannot be used: {why}")))?;
    let status = ask(&listen).map_err(Failure::Running)?;
    if status.contains(" 200 ") {
        say("ready")
    } else {
        Err(Failure::Running(anyhow::anyhow!("the service at {listen} is not ready: {status}")))
    }
}

/// The first line of the answer.
fn ask(listen: &Listen) -> anyhow::Result<String> {
    match listen {
        Listen::Tcp(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                // listening everywhere includes the loopback
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)
                .with_context(|| format!("nobody answers at {listen}"))?;
            stream.set_read_timeout(Some(TIME_LIMIT))?;
            stream.set_write_timeout(Some(TIME_LIMIT))?;
            exchange(stream)
        }
        Listen::Unix(path) => {
            let stream = UnixStream::connect(path).with_context(|| format!("nobody answers at {listen}"))?;
            stream.set_read_timeout(Some(TIME_LIMIT))?;
            stream.set_write_timeout(Some(TIME_LIMIT))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> anyhow::Result<String> {
    stream.write_all(REQUEST).context("the service takes no request")?;
    let mut status = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut status).context("the service gives no answer")?;
    Ok(status.trim_end().to_owned())
}
