//! The sections `[server]` and `[log]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::audit::LogFormat;
use crate::host::{HostName, HostNames};
use crate::pandium::Environment;
use crate::settings::{Reported, Section, web_origin};

/// The section `[server]`. A change of anything but `public_url` and `hosts` requires a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The address for browsers and proxies.
    pub listen: Listen,
    /// The address for operators, if any.
    pub admin_listen: Option<Listen>,
    /// The file mode of Unix sockets.
    pub unix_socket_mode: u32,
    /// The origin by which browsers reach the service.
    pub public_url: Option<String>,
    /// The accepted host names: that of `public_url`, and those of `server.hosts`.
    pub hosts: HostNames,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// Maximum open connections of all workers together.
    pub max_connections: usize,
    /// Keep-alive timeout of idle connections.
    pub keep_alive: Duration,
    /// Timeout for receiving a request's headers.
    pub request_timeout: Duration,
    /// How long requests are still served after `/readyz` has begun to respond 503.
    pub drain_delay: Duration,
    /// How long to wait, after `drain_delay`, for requests that are in progress.
    pub shutdown_timeout: Duration,
}

impl ServerSettings {
    /// Whether a setting differs that only a restart applies.
    pub fn needs_restart_after(&self, earlier: &Self) -> bool {
        let (public_url, hosts) = (self.public_url.clone(), self.hosts.clone());
        *self != Self { public_url, hosts, ..earlier.clone() }
    }
}

/// The section `[log]`. A change requires a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON or text.
    pub format: LogFormat,
    /// The minimum level of events; audit events do not depend on it.
    pub level: LevelFilter,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port; 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Parses `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/x.sock`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err("the socket's path does not begin with '/'".to_owned())
            };
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| "it is neither an address with a port nor unix:/path".to_owned())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The maximum of every timeout: an hour.
const MAX_SECONDS: u64 = 3600;

pub(super) fn read(
    section: &Section<'_>,
    environment: Option<Environment>,
) -> Result<ServerSettings, Reported> {
    let help =
        "write an address and a port, such as \"127.0.0.1:8080\", or \"unix:/run/marketplace-sso.sock\"";
    let seconds = |name| section.seconds(name, 0, MAX_SECONDS);

    let listen = section.parsed("listen", help, Listen::parse);
    let admin_listen = section.optional("admin_listen", help, Listen::parse);
    let unix_socket_mode = section.parsed(
        "unix_socket_mode",
        "write an octal file mode that admits only the owner and a group, such as \"660\"",
        read_mode,
    );
    let public_url = public_url(section, environment);
    let known_url = public_url.as_ref().ok().and_then(Option::as_deref);
    let hosts = hosts(section, known_url);
    let workers = section.count("workers", 0, 512);
    let max_connections = section.count("max_connections", 1, 1_000_000);
    let (keep_alive, request_timeout) = (seconds("keep_alive_s"), seconds("request_timeout_s"));
    let (drain_delay, shutdown_timeout) = (seconds("drain_delay_s"), seconds("shutdown_timeout_s"));
    section.finish();
    Ok(ServerSettings {
        listen: listen?,
        admin_listen: admin_listen?,
        unix_socket_mode: unix_socket_mode?,
        public_url: public_url?,
        hosts: hosts?,
        workers: workers?,
        max_connections: max_connections?,
        keep_alive: keep_alive?,
        request_timeout: request_timeout?,
        drain_delay: drain_delay?,
        shutdown_timeout: shutdown_timeout?,
    })
}

fn public_url(section: &Section<'_>, environment: Option<Environment>) -> Result<Option<String>, Reported> {
    let requires_https = environment.is_some_and(Environment::requires_https);
    let help = "write the origin by which browsers reach this service, such as \"https://app.example.com\"";
    let url = section.optional("public_url", help, |text| match web_origin(text, false)? {
        (origin, true) => Ok(origin),
        (_, false) => Err("it must have only a scheme, a host and a port".to_owned()),
    })?;
    match &url {
        None if requires_https => {
            Err(section.report("public_url", "it is not set; production needs it", help))
        }
        Some(url) if requires_https && !url.starts_with("https:") => {
            let what = "it is not https; production needs that";
            Err(section.report("public_url", what, "put the service behind TLS"))
        }
        _ => Ok(url),
    }
}

fn hosts(section: &Section<'_>, public_url: Option<&str>) -> Result<HostNames, Reported> {
    let help = "write host names, such as [\"sso.example.com\"]";
    let mut names = section.all_parsed("hosts", help, HostName::parse)?;
    let own = public_url.and_then(|url| url.split_once("://"));
    names.extend(own.and_then(|(_, authority)| HostName::of_authority(authority).ok()));
    Ok(HostNames::new(names))
}

fn read_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| "it is not an octal number".to_owned())?;
    if mode & 0o007 != 0 || mode > 0o770 {
        return Err(
            "it permits every user of the machine to connect, and every peer on the socket is trusted"
                .to_owned(),
        );
    }
    Ok(mode)
}

pub(super) fn read_log(section: &Section<'_>) -> Result<LogSettings, Reported> {
    let format = section.choice("format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    let level = section.choice(
        "level",
        &[
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ],
    );
    // its value is read with each entrance, because the entrance's secret is the key of the hash
    section.value("subject");
    section.finish();
    Ok(LogSettings { format: format?, level: level? })
}
