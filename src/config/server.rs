//! The sections `[server]` and `[log]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use url::Url;

use super::section::Section;
use crate::audit::LogFormat;
use crate::host::{HostName, HostNames};
use crate::pandium::Environment;

/// How the service listens, runs and stops. A change of anything but `hosts`
/// needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where browsers and proxies connect.
    pub listen: Listen,
    /// Where operators connect, if anywhere.
    pub admin_listen: Option<Listen>,
    /// The file mode of Unix sockets.
    pub unix_socket_mode: u32,
    /// The origin by which browsers reach the service.
    pub public_url: Option<String>,
    /// The names it answers to: that of `public_url`, and others.
    pub hosts: HostNames,
    /// Threads that answer; 0: one a core.
    pub workers: usize,
    /// Open connections, for all workers together.
    pub max_connections: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a request's headers may take.
    pub request_timeout: Duration,
    /// Service after readiness has turned 503.
    pub drain_delay: Duration,
    /// Time for what is in flight after that.
    pub shutdown_timeout: Duration,
}

impl ServerSettings {
    /// Whether these differ from earlier ones in more than a reload applies.
    pub fn needs_restart_after(&self, earlier: &Self) -> bool {
        let hosts = self.hosts.clone();
        *self != Self { hosts, ..earlier.clone() }
    }
}

/// How the service logs. A change needs a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON or text.
    pub format: LogFormat,
    /// The least level of events; the record does not depend on it.
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
    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/x.sock`.
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

/// An hour: nothing is waited for longer.
const MOST_SECONDS: u64 = 3600;

pub(super) fn read(section: &Section<'_>, environment: Option<Environment>) -> Option<ServerSettings> {
    let help =
        "write an address and a port, such as \"127.0.0.1:8080\", or \"unix:/run/marketplace-sso.sock\"";
    let seconds = |name| section.number(name, 0, MOST_SECONDS).map(Duration::from_secs);
    let count =
        |name, least, most| section.number(name, least, most).and_then(|number| usize::try_from(number).ok());

    let listen = section.parsed("listen", help, Listen::parse);
    let admin_listen = section.optional("admin_listen", help, Listen::parse);
    let unix_socket_mode = section.parsed(
        "unix_socket_mode",
        "write an octal file mode that lets only the owner and a group in, such as \"660\"",
        read_mode,
    );
    let public_url = public_url(section, environment);
    let hosts = hosts(section, public_url.as_deref());
    let (workers, max_connections) = (count("workers", 0, 512), count("max_connections", 1, 1_000_000));
    let (keep_alive, request_timeout) = (seconds("keep_alive_s"), seconds("request_timeout_s"));
    let (drain_delay, shutdown_timeout) = (seconds("drain_delay_s"), seconds("shutdown_timeout_s"));
    section.finish();
    Some(ServerSettings {
        listen: listen?,
        admin_listen,
        unix_socket_mode: unix_socket_mode?,
        public_url,
        hosts: hosts?,
        workers: workers?,
        max_connections: max_connections?,
        keep_alive: keep_alive?,
        request_timeout: request_timeout?,
        drain_delay: drain_delay?,
        shutdown_timeout: shutdown_timeout?,
    })
}

fn public_url(section: &Section<'_>, environment: Option<Environment>) -> Option<String> {
    let requires_https = environment.is_some_and(Environment::requires_https);
    let help = "write how browsers reach this service, such as \"https://app.example.com\"";
    let url = section.optional("public_url", help, read_origin);
    match &url {
        None if requires_https && section.text("public_url").is_some_and(|text| text.is_empty()) => {
            section.wrong("public_url", "it is not set; production needs it", help);
        }
        Some(url) if requires_https && !url.starts_with("https:") => {
            section.wrong(
                "public_url",
                "it is not https; production needs that",
                "put the service behind TLS",
            );
        }
        _ => {}
    }
    url
}

fn hosts(section: &Section<'_>, public_url: Option<&str>) -> Option<HostNames> {
    let help = "write host names, such as [\"sso.example.com\"]";
    let mut names = section.all_parsed("hosts", help, HostName::parse)?;
    let own = public_url.and_then(|url| url.split_once("://"));
    names.extend(own.and_then(|(_, authority)| HostName::of_authority(authority).ok()));
    Some(HostNames::new(names))
}

fn read_origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its scheme is neither https nor http".to_owned());
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_user {
        return Err("it says more than scheme, host and port".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

fn read_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| "it is not an octal number".to_owned())?;
    if mode & 0o007 != 0 || mode > 0o770 {
        return Err("it lets everybody in, and whoever is in is trusted".to_owned());
    }
    Ok(mode)
}

pub(super) fn read_log(section: &Section<'_>) -> Option<LogSettings> {
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
    // how the record names users is read with the entrances, which have the key
    section.value("subject");
    section.finish();
    Some(LogSettings { format: format?, level: level? })
}
