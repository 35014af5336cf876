//! The values that every front end of the playground needs: origins, ports, a secret, and the
//! service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::anyhow;
use tempfile::TempDir;
use uuid::Uuid;

use crate::config::Config;
use crate::server::Server;

/// The values that every front end needs.
pub struct Setup {
    pub app_origin: String,
    pub marketplace_origin: String,
    /// The secret with which the service signs.
    pub secret: String,
    /// The folder of the service's store, which is deleted when this is dropped.
    pub folder: TempDir,
}

/// Without `--listen`, the front end uses the first of these ports that is free.
const DEFAULT_PORTS: std::ops::RangeInclusive<u16> = 8088..=8187;

/// Starts the service.
pub async fn bind_service(config: &str) -> anyhow::Result<Server> {
    let config = Config::from_toml(config)
        .map_err(|problems| anyhow!("the playground's built-in configuration is invalid: {problems}"))?;
    Server::bind(config).await.map_err(|error| anyhow!("the service cannot start: {error}"))
}

/// Binds the first default port that is free, on the loopback interface.
pub fn bind_default_port() -> std::io::Result<TcpListener> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for port in DEFAULT_PORTS {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// 244 random bits as text: two UUIDs.
pub fn random_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Binds the port after `listen`, so that a container can publish a contiguous
/// range, or any free port if that one is in use.
pub fn bind_next_port(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let next = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(0),
    };
    TcpListener::bind((listen.ip(), next)).or_else(|_| TcpListener::bind((listen.ip(), 0)))
}

/// Finds a free port as [`bind_next_port`] does, and releases it.
pub fn free_address(base: SocketAddr) -> std::io::Result<SocketAddr> {
    bind_next_port(base)?.local_addr()
}

/// The origin by which a browser on this machine reaches an address.
pub fn origin(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_has_the_loopback_origin() {
        let check = |listen: &str, expected: &str| assert_eq!(origin(listen.parse().unwrap()), expected);
        check("127.0.0.1:8088", "http://127.0.0.1:8088");
        check("0.0.0.0:8088", "http://127.0.0.1:8088");
        check("[::]:8088", "http://[::1]:8088");
    }
}
