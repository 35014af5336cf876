//! Limits of requests by peer, in this process. Memory is bounded.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::request::Peer;

/// The limits of this process.
pub struct Limits {
    clock: MonotonicClock,
    guesses: Keyed,
    /// Checks since the process started, so that old peers are removed now and then.
    checks: AtomicU32,
}

type Keyed = RateLimiter<PeerGroup, HashMapStateStore<PeerGroup>, MonotonicClock, NoOpMiddleware<Instant>>;
type Instant = <MonotonicClock as Clock>::Instant;

/// The peers that are limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PeerGroup {
    /// One IPv4 address, or the /64 of an IPv6 address: whoever has one such address has all.
    Ip(IpAddr),
    /// All peers at the Unix socket, or without a known address.
    Local,
    /// All peers that are not counted yet, while too many are.
    Others,
}

/// Wrong credentials of one peer in a minute: 10.
const GUESSES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Peers that are counted at the same time.
const MAX_PEERS: usize = 10_000;

/// Peers without a recent check are removed after so many checks.
const CHECKS_BETWEEN_REMOVALS: u32 = 1_000;

impl Limits {
    /// Counts wrong credentials of a peer. An error: there were too many; after this time the
    /// peer may try again.
    pub fn check_guess(&self, peer: Peer) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKS_BETWEEN_REMOVALS) {
            self.guesses.retain_recent();
        }
        let is_full = self.guesses.len() >= MAX_PEERS;
        let group = if is_full { PeerGroup::Others } else { PeerGroup::of(peer) };
        self.guesses.check_key(&group).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

impl Default for Limits {
    fn default() -> Self {
        let clock = MonotonicClock;
        let quota = Quota::per_minute(GUESSES_PER_MINUTE);
        let guesses = RateLimiter::hashmap_with_clock(quota, clock.clone());
        Self { clock, guesses, checks: AtomicU32::new(0) }
    }
}

impl PeerGroup {
    fn of(peer: Peer) -> Self {
        match peer {
            Peer::Ip(IpAddr::V6(address)) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self::Ip(IpAddr::V6(network.into()))
            }
            Peer::Ip(address @ IpAddr::V4(_)) => Self::Ip(address),
            Peer::UnixSocket | Peer::Unknown => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::from_ip(address.parse().unwrap())
    }

    // T35
    #[test]
    fn guesses_are_limited_by_network() {
        let limits = Limits::default();
        for guess in 0..10 {
            assert_eq!(limits.check_guess(peer(&format!("2001:db8::{guess}"))), Ok(()), "{guess}");
        }
        let wait = limits.check_guess(peer("2001:db8::ffff")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(6), "{wait:?}");
        for other in ["2001:db8:0:1::1", "192.0.2.1", "192.0.2.2"] {
            assert_eq!(limits.check_guess(peer(other)), Ok(()));
        }
        assert_eq!(limits.check_guess(Peer::UnixSocket), Ok(()));
    }

    // T35
    #[test]
    fn the_number_of_counted_peers_is_bounded() {
        let limits = Limits::default();
        let networks = (0..30_000_u32).map(|network| peer(&format!("2001:db8:{:x}::", network)));
        let _ = networks.map(|peer| limits.check_guess(peer)).collect::<Vec<_>>();
        assert!(limits.guesses.len() <= MAX_PEERS + 1);
    }
}
