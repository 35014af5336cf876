//! The names under which the service answers, against DNS rebinding.
//!
//! A page that an attacker controls can have its own name resolve to this
//! service's address, and then read responses as same-origin. It needs a name
//! from public DNS for that. So the service answers to configured names, and to
//! names that public DNS cannot give out.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host name: ASCII, in lower case, without a port and without a final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The configured names of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    names: Vec<HostName>,
}

/// A text is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a host name without scheme, port and path, such as app.example.com")]
pub struct NotAHostName;

impl HostName {
    /// Reads a host name; an IP address is one too.
    pub fn parse(text: &str) -> Result<Self, NotAHostName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_name = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
                && text.split('.').all(|label| !label.is_empty())
        };
        if is_ipv6_literal(text) || is_name(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAHostName)
        }
    }

    /// Reads the host of a `Host` header field or a request target (RFC 9110,
    /// 7.2; RFC 3986, 3.2): a name or an IP address, perhaps with a port.
    pub fn of_authority(authority: &str) -> Result<Self, NotAHostName> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        if port.bytes().all(|byte| byte.is_ascii_digit()) { Self::parse(host) } else { Err(NotAHostName) }
    }

    /// Whether public DNS cannot give out this name: a loopback name (RFC 6761,
    /// 6.3), an IP address, or a name without a dot, such as a container's.
    fn is_local(&self) -> bool {
        let Self(name) = self;
        !name.contains('.') || name.ends_with(".localhost") || name.parse::<Ipv4Addr>().is_ok()
    }
}

impl HostNames {
    /// These names.
    pub const fn new(names: Vec<HostName>) -> Self {
        Self { names }
    }

    /// Whether none is configured.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether this is one of the configured names.
    pub fn name(&self, host: &HostName) -> bool {
        self.names.contains(host)
    }

    /// Whether requests for this host are answered.
    pub fn include(&self, host: &HostName) -> bool {
        self.name(host) || host.is_local()
    }
}

/// An IPv6 address in brackets. It has no dot, but for IPv4-mapped ones.
fn is_ipv6_literal(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answers(authority: &str) -> bool {
        let names = HostNames::new(vec![HostName::parse("App.example.com").unwrap()]);
        HostName::of_authority(authority).is_ok_and(|host| names.include(&host))
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
    #[case::container("marketplace-sso:8080")]
    fn the_service_answers_to(#[case] authority: &str) {
        assert!(answers(authority));
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
    fn the_service_does_not_answer_to(#[case] authority: &str) {
        assert!(!answers(authority));
    }
}
