//! The peers whose identity headers are trusted, by the address of the socket. No header field can
//! change this address.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::request::Peer;

/// The peers whose identity headers are accepted; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

/// IPv4 networks that are not public (RFC 6890; RFC 5771, 3; RFC 1112, 4).
const RESERVED: [Ipv4Net; 9] = [
    Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All public IPv6 addresses (RFC 4291, 2.4 and its registry: 2000::/3).
const PUBLIC_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

impl TrustedProxies {
    /// Trusts the peers in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self { networks: networks.into_iter().map(|network| canonical(network).trunc()).collect() }
    }

    /// Parses a network (`10.0.0.0/8`) or a single address.
    pub fn parse_network(text: &str) -> Option<IpNet> {
        text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).ok()
    }

    /// Whether no network is trusted.
    pub const fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether the networks together cover every public IPv4 address, or every
    /// public IPv6 address.
    pub fn cover_the_internet(&self) -> bool {
        let with_reserved = self.networks.iter().copied().chain(RESERVED.map(IpNet::V4)).collect();
        let merged = IpNet::aggregate(&with_reserved);
        merged.iter().any(|network| match network {
            IpNet::V4(network) => network.prefix_len() == 0,
            IpNet::V6(network) => network.contains(&PUBLIC_V6),
        })
    }

    /// Whether this peer is trusted. Every peer on the Unix socket is: its file
    /// mode restricts who can connect.
    pub fn contains(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.networks.iter().any(|network| network.contains(&address)),
            Peer::UnixSocket => true,
            Peer::Unknown => false,
        }
    }
}

/// Converts an IPv4-mapped network to IPv4, as peers' addresses are.
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
    fn an_ipv4_mapped_network_is_an_ipv4_network() {
        let proxies = TrustedProxies::new(TrustedProxies::parse_network("::ffff:10.0.0.0/104"));
        assert!(proxies.contains(Peer::from_ip("10.1.2.3".parse().unwrap())));
    }

    #[rstest]
    #[case(&["0.0.0.0/0"], true)]
    #[case(&["::/0"], true)]
    #[case(&["::ffff:0:0/96"], true)]
    #[case(&["0.0.0.0/1", "128.0.0.0/1"], true)]
    #[case(&["128.0.0.0/1", "10.0.0.0/8", "0.0.0.0/1"], true)]
    #[case(&["::/1", "8000::/1"], true)]
    #[case(&["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"], true)]
    #[case(&["2000::/3"], true)]
    #[case(&["2000::/4", "3000::/4"], true)]
    #[case(&[], false)]
    #[case(&["0.0.0.0/1"], false)]
    #[case(&["128.0.0.0/1", "10.0.0.0/8"], false)]
    #[case(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1"], false)]
    #[case(&["8000::/1"], false)]
    fn networks_that_together_cover_the_internet(#[case] networks: &[&str], #[case] all: bool) {
        let networks = networks.iter().map(|text| TrustedProxies::parse_network(text).unwrap());
        assert_eq!(TrustedProxies::new(networks).cover_the_internet(), all);
    }

    #[test]
    fn no_peer_is_trusted_by_default() {
        let none = TrustedProxies::default();
        assert!(!none.contains(Peer::from_ip("127.0.0.1".parse().unwrap())));
        assert!(!none.contains(Peer::Unknown));
    }
}
