//! The host names that the service accepts, as a defence against DNS rebinding.
//!
//! An attacker's page can make its own public DNS name resolve to this service, and
//! then read responses as same-origin. So the service accepts configured names, and
//! names that cannot be in public DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host name: ASCII, in lower case, without a port and without a final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The configured names of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    names: Vec<HostName>,
}

/// A string is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a host name without scheme, port and path, such as app.example.com")]
pub struct NotAHostName;

impl HostName {
    /// Parses a host name or an IP address.
    pub fn parse(text: &str) -> Result<Self, NotAHostName> {
        host_name(text).map(|name| Self(name.to_ascii_lowercase()))
    }

    /// Parses the host of an authority.
    pub fn of_authority(authority: &str) -> Result<Self, NotAHostName> {
        Self::parse(host_of(authority)?)
    }
}

impl HostNames {
    /// Creates the list.
    pub const fn new(names: Vec<HostName>) -> Self {
        Self { names }
    }

    /// Whether none is configured.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the host of this authority is configured, with any port.
    pub fn is_configured(&self, authority: &str) -> bool {
        host_of(authority).is_ok_and(|host| self.contains(host))
    }

    /// Whether requests for this authority are served. The authority is that of a `Host` field or
    /// of a request target (RFC 9110, 7.2; RFC 3986, 3.2).
    pub fn accepts(&self, authority: &str) -> bool {
        // a configured name without a port needs no parsing
        self.contains(authority) || host_of(authority).is_ok_and(|host| self.contains(host) || is_local(host))
    }

    fn contains(&self, host: &str) -> bool {
        self.names.iter().any(|HostName(name)| name.eq_ignore_ascii_case(host))
    }
}

/// Whether an authority, with or without a port, names this machine: `localhost`, a name below it, or a
/// loopback address.
pub fn is_loopback(authority: &str) -> bool {
    let Ok(host) = host_of(authority) else { return false };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost")),
    }
}

/// The host of an authority without its port.
fn host_of(authority: &str) -> Result<&str, NotAHostName> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    if port.bytes().all(|byte| byte.is_ascii_digit()) { host_name(host) } else { Err(NotAHostName) }
}

/// A name or an IP address, without the trailing dot of an absolute name.
fn host_name(text: &str) -> Result<&str, NotAHostName> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && text.split('.').all(|label| !label.is_empty())
    };
    if is_name(text) || is_ipv6_literal(text) { Ok(text) } else { Err(NotAHostName) }
}

/// Whether a host cannot be in public DNS: a loopback name (RFC 6761, 6.3), an IP
/// address, or a name without a dot, such as a container's.
fn is_local(host: &str) -> bool {
    let is_below_localhost = || {
        let last = host.rsplit('.').next();
        last.is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
    };
    !host.contains('.') || is_below_localhost() || host.parse::<Ipv4Addr>().is_ok() || is_ipv6_literal(host)
}

/// An IPv6 address in brackets (RFC 3986, 3.2.2).
fn is_ipv6_literal(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn is_accepted(authority: &str) -> bool {
        let names = HostNames::new(vec![HostName::parse("App.example.com").unwrap()]);
        names.accepts(authority)
    }

    #[rstest]
    #[case::configured("app.example.com")]
    #[case::port("app.example.com:8443")]
    #[case::capitals("APP.example.COM")]
    #[case::final_dot("app.example.com.")]
    #[case::localhost("localhost:8080")]
    #[case::below_localhost("sso.localhost")]
    #[case::ipv4("10.1.2.3:8080")]
    #[case::ipv6("[::1]:8080")]
    #[case::ipv6_without_port("[fe80::1]")]
    #[case::ipv4_mapped("[::ffff:127.0.0.1]:80")]
    #[case::localhost_in_capitals("SSO.LocalHost")]
    #[case::container("marketplace-sso:8080")]
    fn a_host_is_accepted(#[case] authority: &str) {
        assert!(is_accepted(authority));
    }

    #[rstest]
    #[case::another_name("evil.example")]
    #[case::below("x.app.example.com")]
    #[case::above("example.com")]
    #[case::prefix("app.example.com.evil.example")]
    #[case::localhost_in_front("localhost.evil.example")]
    #[case::an_address_in_front("127.0.0.1.nip.example")]
    #[case::no_address("127.0.0.256")]
    #[case::a_hexadecimal_address("0x7f.0.0.1")]
    #[case::user("app.example.com@evil.example")]
    #[case::a_port_with_a_name("localhost:evil.example")]
    #[case::brackets("[evil.example]")]
    #[case::blank("")]
    #[case::only_a_dot(".")]
    #[case::two("app.example.com, evil.example")]
    #[case::not_ascii("äpp.example.com")]
    fn a_host_is_rejected(#[case] authority: &str) {
        assert!(!is_accepted(authority));
    }

    #[rstest]
    #[case("localhost", true)]
    #[case("LOCALHOST.:9090", true)]
    #[case("sso.localhost:9090", true)]
    #[case("127.0.0.1:9090", true)]
    #[case("127.8.7.6", true)]
    #[case("[::1]:9090", true)]
    #[case("[::ffff:127.0.0.1]", true)]
    #[case("app.example.com", false)]
    #[case("marketplace-sso:9090", false)]
    #[case("10.0.0.1", false)]
    #[case("[2001:db8::1]", false)]
    #[case("localhost.evil.example", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("127.1", false)]
    #[case("", false)]
    fn a_loopback_name_is_recognized(#[case] authority: &str, #[case] expected: bool) {
        assert_eq!(is_loopback(authority), expected);
    }

    #[test]
    fn names_are_empty_or_not() {
        assert!(HostNames::default().is_empty());
        assert!(!HostNames::new(vec![HostName::parse("a.example").unwrap()]).is_empty());
    }
}
