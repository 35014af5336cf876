//! Which peers are believed. Only the socket decides; no header does.

use ipnet::{IpNet, Ipv4Net};

use crate::arrival::Peer;

/// The peers whose identity headers count. Nobody, unless named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

impl TrustedProxies {
    /// Trusts the peers in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self { networks: networks.into_iter().map(|network| canonical(network).trunc()).collect() }
    }

    /// Reads a network (`10.0.0.0/8`) or a single address.
    pub fn parse_network(text: &str) -> Option<IpNet> {
        text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).ok()
    }

    /// Whether no network is trusted.
    pub const fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether some network holds every address.
    pub fn is_everybody(&self) -> bool {
        self.networks.iter().any(|network| network.prefix_len() == 0)
    }

    /// Whether this peer is believed. A Unix socket's file mode has decided
    /// before: whoever could open it is.
    pub fn contains(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.networks.iter().any(|network| network.contains(&address)),
            Peer::UnixSocket => true,
            Peer::Unknown => false,
        }
    }
}

/// An IPv4 network in IPv6 clothes is that IPv4 network, as it is with peers.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let Some((v4, prefix)) = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)) else {
        return network;
    };
    Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.1.2.3", true)]
    #[case("::ffff:10.1.2.3", true)]
    #[case("11.0.0.1", false)]
    #[case("::1", false)]
    fn a_peer_is_trusted_by_its_address(#[case] peer: &str, #[case] trusted: bool) {
        let proxies = TrustedProxies::new(TrustedProxies::parse_network("10.0.0.0/8"));
        assert_eq!(proxies.contains(Peer::from_ip(peer.parse().unwrap())), trusted);
    }

    #[test]
    fn a_network_in_ipv6_clothes_is_an_ipv4_network() {
        let proxies = TrustedProxies::new(TrustedProxies::parse_network("::ffff:10.0.0.0/104"));
        assert!(proxies.contains(Peer::from_ip("10.1.2.3".parse().unwrap())));
    }

    #[test]
    fn nobody_is_trusted_unless_named() {
        let nobody = TrustedProxies::default();
        assert!(!nobody.contains(Peer::from_ip("127.0.0.1".parse().unwrap())));
        assert!(!nobody.contains(Peer::Unknown));
    }
}
