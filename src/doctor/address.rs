//! An address for a host and a port, in place of DNS: `HOST:PORT:ADDRESS`, as curl's `--resolve`.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

/// The address to which requests for a host and a port are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAddress {
    host: String,
    port: u16,
    address: IpAddr,
}

/// A text is not `HOST:PORT:ADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not HOST:PORT:ADDRESS: a host name, a port and an IP address, such as app.example.com:443:192.0.2.7"
)]
pub struct NotAGivenAddress;

impl GivenAddress {
    /// Parses `HOST:PORT:ADDRESS`; an IPv6 address may be in brackets.
    ///
    /// # Errors
    ///
    /// A part is missing or invalid.
    pub fn parse(text: &str) -> Result<Self, NotAGivenAddress> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(NotAGivenAddress);
        let (host, port, address) = (part()?, part()?, part()?);
        // an IP address in a URL is not resolved
        let Ok(Host::Domain(host)) = Host::parse(host) else { return Err(NotAGivenAddress) };
        let port = port.parse().map_err(|_| NotAGivenAddress)?;
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
        let address = bare.unwrap_or(address).parse().map_err(|_| NotAGivenAddress)?;
        Ok(Self { host, port, address })
    }

    /// Whether requests for this URL are sent to the given address.
    pub fn applies_to(&self, url: &Url) -> bool {
        url.host_str() == Some(self.host.as_str()) && url.port_or_known_default() == Some(self.port)
    }

    /// The host and the port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host and the address for the HTTP client, which takes the port from the URL.
    pub(super) fn resolution(&self) -> (&str, SocketAddr) {
        (&self.host, SocketAddr::new(self.address, 0))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("app.example.com:443:192.0.2.7", "https://app.example.com/x", true)]
    #[case("APP.example.com:443:2001:db8::7", "https://app.example.com/", true)]
    #[case("app.example.com:8080:[::1]", "http://app.example.com:8080/", true)]
    #[case("app.example.com:443:192.0.2.7", "http://app.example.com/", false)]
    #[case("app.example.com:443:192.0.2.7", "https://sso.example.com/", false)]
    fn an_address_is_for_one_host_and_port(#[case] text: &str, #[case] url: &str, #[case] applies: bool) {
        let given = GivenAddress::parse(text).unwrap();
        assert_eq!(given.applies_to(&Url::parse(url).unwrap()), applies);
    }

    #[rstest]
    #[case("")]
    #[case("app.example.com:443")]
    #[case("app.example.com:192.0.2.7")]
    #[case("app.example.com:https:192.0.2.7")]
    #[case("app.example.com:443:proxy.example.com")]
    #[case("app.example.com:443:192.0.2.7:80")]
    #[case("192.0.2.1:443:192.0.2.7")]
    #[case(":443:192.0.2.7")]
    fn other_texts_are_rejected(#[case] text: &str) {
        assert_eq!(GivenAddress::parse(text), Err(NotAGivenAddress));
    }
}
