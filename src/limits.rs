//! Limits how often something may happen: hand-offs of a user, refusals and guesses of a peer, each
//! in a minute; and fetches that all peers share, of which each peer can cause only a part. Each
//! process counts separately, with bounded memory.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::request::Peer;

/// The limits, each for a minute; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Hand-offs of one user at one entrance.
    pub handoffs_per_subject: u32,
    /// Refused requests of one peer.
    pub refusals_per_peer: u32,
    /// Invalid tickets and API tokens of one peer.
    pub token_guesses_per_peer: u32,
}

/// Counts against the limits.
pub struct Limits {
    settings: LimitSettings,
    hand_offs: Counts,
    refusals: Counts,
    guesses: Counts,
    /// Has a random key, so that no client can choose a subject or an address that shares the count
    /// of another one.
    hasher: RandomState,
}

/// A limit for each peer within a limit for all peers together, so that a few peers cannot use up
/// the common limit.
pub struct FairLimit {
    of_peer: Counts,
    of_all: Counts,
    /// Has a random key, as in [`Limits`].
    hasher: RandomState,
}

/// A rate: `at_once` events without a pause, and one more after each interval. If either is 0,
/// there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may happen without a pause.
    pub at_once: u32,
    /// After this time one more may happen.
    pub interval: Duration,
}

/// The counts for one limit; `None` if there is no limit.
struct Counts(Option<Limiter>);

type Limiter = RateLimiter<u32, HashMapStateStore<u32>, MonotonicClock, NoOpMiddleware<Instant>>;
type Instant = <MonotonicClock as Clock>::Instant;

/// The number of counts for each limit. Subjects and peers are mapped to counts by a hash, which
/// bounds the memory of a limit to some 4 MB. The probability that two of them share a count is 1
/// in 131,072.
const BUCKETS: u64 = 1 << 17;

impl Limits {
    /// Starts to count.
    pub fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            hand_offs: Counts::per_minute(settings.handoffs_per_subject),
            refusals: Counts::per_minute(settings.refusals_per_peer),
            guesses: Counts::per_minute(settings.token_guesses_per_peer),
            hasher: RandomState::new(),
        }
    }

    /// The limits in use.
    pub const fn settings(&self) -> LimitSettings {
        self.settings
    }

    /// Counts a hand-off of a user at an entrance. The error is the time after which it may happen.
    pub fn check_handoff(&self, entrance: &str, subject: &str) -> Result<(), Duration> {
        self.hand_offs.count(|| bucket(&self.hasher, (entrance, subject)))
    }

    /// Counts a refused request. An error means that the peer is above the limit; its value is the
    /// time after which the peer may try again.
    pub fn check_refusal(&self, peer: Peer) -> Result<(), Duration> {
        self.refusals.count_peer(&self.hasher, peer)
    }

    /// Counts an invalid ticket or API token. The error is that of [`Self::check_refusal`].
    pub fn check_guess(&self, peer: Peer) -> Result<(), Duration> {
        self.guesses.count_peer(&self.hasher, peer)
    }

    /// Removes counts that have no effect any more. Must be called regularly.
    pub fn forget_old(&self) {
        for limit in [&self.hand_offs, &self.refusals, &self.guesses] {
            limit.forget_old();
        }
    }

    /// The number of subjects and peers that are counted now.
    pub fn len(&self) -> usize {
        [&self.hand_offs, &self.refusals, &self.guesses].into_iter().map(Counts::len).sum()
    }

    /// Whether nothing is counted now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FairLimit {
    /// Starts to count.
    pub fn new(of_peer: Rate, of_all: Rate) -> Self {
        let [of_peer, of_all] = [of_peer, of_all].map(|rate| Counts::new(rate.quota()));
        Self { of_peer, of_all, hasher: RandomState::new() }
    }

    /// Counts an event that a peer causes. The error is the time after which it may happen. A peer
    /// above its own limit does not use up the common limit.
    pub fn check(&self, peer: Peer) -> Result<(), Duration> {
        self.of_peer.count_peer(&self.hasher, peer)?;
        self.of_all.count(|| 0)?;
        // called at most as often as the limit for all peers allows
        self.of_peer.forget_old();
        Ok(())
    }
}

impl Rate {
    fn quota(self) -> Option<Quota> {
        let quota = Quota::with_period(self.interval)?;
        NonZeroU32::new(self.at_once).map(|at_once| quota.allow_burst(at_once))
    }
}

impl Counts {
    fn per_minute(limit: u32) -> Self {
        Self::new(NonZeroU32::new(limit).map(Quota::per_minute))
    }

    fn new(quota: Option<Quota>) -> Self {
        Self(quota.map(|quota| RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock)))
    }

    fn count_peer(&self, hasher: &RandomState, peer: Peer) -> Result<(), Duration> {
        match peer {
            Peer::Ip(address) => self.count(|| bucket(hasher, network(address))),
            // all clients would share one count
            Peer::UnixSocket | Peer::Unknown => Ok(()),
        }
    }

    fn count(&self, key: impl FnOnce() -> u32) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&key()).map_err(|until| until.wait_time_from(limiter.clock().now()))
    }

    fn forget_old(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, RateLimiter::len)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limits").field(&self.settings).finish()
    }
}

impl fmt::Debug for FairLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FairLimit")
    }
}

fn bucket(hasher: &RandomState, key: impl Hash) -> u32 {
    // always converts: the value is less than BUCKETS
    u32::try_from(hasher.hash_one(key) % BUCKETS).unwrap_or_default()
}

/// The address; for IPv6 its /64 network, since one host can use all addresses of it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Limits in which these keys do not share a count, as two keys do with a probability of 1 in
    /// 131,072.
    fn without_collision<T, K: Hash>(
        new: impl FnMut() -> T,
        hasher: fn(&T) -> &RandomState,
        keys: &[K],
    ) -> T {
        let mut all = std::iter::repeat_with(new);
        let counts = |limits: &T| keys.iter().map(|key| bucket(hasher(limits), key)).collect::<HashSet<_>>();
        all.find(|limits| counts(limits).len() == keys.len()).unwrap()
    }

    /// The networks of these addresses.
    fn networks<const N: usize>(addresses: [&str; N]) -> [IpAddr; N] {
        addresses.map(|address| network(address.parse().unwrap()))
    }

    fn limits(per_minute: u32) -> Limits {
        Limits::new(LimitSettings {
            handoffs_per_subject: per_minute,
            refusals_per_peer: per_minute,
            token_guesses_per_peer: per_minute,
        })
    }

    fn peer(address: &str) -> Peer {
        Peer::from_ip(address.parse().unwrap())
    }

    #[test]
    fn each_user_has_a_limit_at_each_entrance() {
        let users = [("a", "alice"), ("b", "alice"), ("a", "bob")];
        let limits = without_collision(|| limits(2), |limits| &limits.hasher, &users);
        let hand_off = |entrance, subject| limits.check_handoff(entrance, subject).is_ok();
        assert_eq!([(); 4].map(|()| hand_off("a", "alice")), [true, true, false, false]);
        assert!(hand_off("b", "alice") && hand_off("a", "bob") && !hand_off("a", "alice"));
        let wait = limits.check_handoff("a", "alice").unwrap_err().as_secs();
        assert!((20..=30).contains(&wait), "{wait}: two a minute is one each 30 s");
    }

    // T35
    #[test]
    fn guesses_are_limited_by_network() {
        let networks = networks(["2001:db8::", "2001:db8:0:1::", "192.0.2.1", "192.0.2.2"]);
        let limits = without_collision(|| limits(1), |limits| &limits.hasher, &networks);
        assert!(limits.check_guess(peer("2001:db8::1")).is_ok());
        assert!(limits.check_guess(peer("2001:db8::ffff:0:0:2")).is_err());
        assert!(limits.check_guess(peer("2001:db8:0:1::1")).is_ok());
        assert!(limits.check_guess(peer("192.0.2.1")).is_ok());
        assert!(limits.check_guess(peer("::ffff:192.0.2.1")).is_err());
        assert!(limits.check_guess(peer("192.0.2.2")).is_ok());
        assert!(limits.check_refusal(peer("192.0.2.2")).is_ok(), "refusals are counted separately");
    }

    #[test]
    fn peers_of_a_unix_socket_are_not_limited() {
        let limits = limits(1);
        for peer in [Peer::UnixSocket, Peer::Unknown] {
            assert!((0..5).all(|_| limits.check_refusal(peer).is_ok()));
        }
    }

    // T41
    #[test]
    fn a_peer_above_its_part_takes_nothing_from_others() {
        let rate = |at_once, interval_s| Rate { at_once, interval: Duration::from_secs(interval_s) };
        let new = || FairLimit::new(rate(2, 100), rate(5, 50));
        let limit = without_collision(new, |limit| &limit.hasher, &networks(["192.0.2.1", "192.0.2.2"]));
        let counted = |peer, times| (0..times).filter(|_| limit.check(peer).is_ok()).count();
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!([counted(one, 100), counted(other, 1)], [2, 1]);
        let wait = limit.check(one).unwrap_err().as_secs();
        assert!((95..=100).contains(&wait), "{wait}");
        // the rest of the common limit is available to all, also to peers without their own limit
        assert_eq!([counted(Peer::Unknown, 100), counted(other, 1), counted(peer("::1"), 1)], [2, 0, 0]);
        assert!(limit.check(Peer::UnixSocket).unwrap_err().as_secs() <= 50);
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = limits(0);
        assert!((0..1000).all(|_| limits.check_handoff("a", "alice").is_ok()));
        assert!(limits.is_empty());
    }

    // T35
    #[test]
    fn the_number_of_counted_peers_is_bounded() {
        let limits = limits(1_000_000);
        for number in 0..u32::try_from(3 * BUCKETS).unwrap() {
            let _ = limits.check_refusal(Peer::from_ip(Ipv6Addr::from(u128::from(number) << 64).into()));
        }
        assert!(limits.len() as u64 <= BUCKETS && !limits.is_empty(), "{}", limits.len());
        // a limit this high is free again after a fraction of a second
        let deadline = crate::clock::Stopwatch::start();
        while !limits.is_empty() {
            assert!(deadline.elapsed().as_secs() < 20, "{}", limits.len());
            limits.forget_old();
        }
    }
}
