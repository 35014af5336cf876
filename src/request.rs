//! The peer and the header fields of a request, and the name of a field,
//! independent of actix-web.

use std::borrow::Cow;
use std::iter;
use std::net::{IpAddr, SocketAddr};

use memchr::memchr;

/// The peer of the connection, regardless of any header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address; IPv4-mapped IPv6 addresses are converted to IPv4.
    Ip(IpAddr),
    /// A process that may connect to the Unix socket by its file mode.
    UnixSocket,
    /// The operating system does not report it.
    Unknown,
}

/// A request's header fields: names in lower case, values as bytes, in unspecified
/// order, including repeated fields.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    fields: Vec<(&'a str, &'a [u8])>,
}

/// The name of a header field (RFC 9110, 5.1), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(Cow<'static, str>);

/// A field that must have one value is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Peer {
    /// The peer with this IP address.
    pub fn from_ip(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }

    /// The client that sent the request, only for limits that share something fairly between
    /// clients: it is not verified. A peer with a public address is the client. Any other peer may
    /// be a proxy: then the client is the last address in `X-Forwarded-For`, or [`Self::Unknown`].
    /// A client may have sent that field itself.
    pub fn unverified_client(self, headers: &Headers<'_>) -> Self {
        match self {
            Self::Ip(address) if is_public(address) => self,
            Self::Ip(_) | Self::UnixSocket | Self::Unknown => {
                let last = headers.all("x-forwarded-for").last().and_then(|value| str::from_utf8(value).ok());
                last.and_then(last_address).map_or(Self::Unknown, Self::from_ip)
            }
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::UnixSocket => f.write_str("unix"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl<'a> Headers<'a> {
    /// All fields, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.fields.iter().copied()
    }

    /// The values of one field; `name` in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(field, _)| *field == name).map(|(_, value)| *value)
    }

    /// The cookies (RFC 6265, 4.2.1): name and value, as bytes, since those of other applications
    /// need not be UTF-8.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.all("cookie").flat_map(cookie_pairs).filter_map(|pair| split_at_first(b'=', pair.trim_ascii()))
    }

    /// The single value of a field; `name` in lower case.
    pub fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }
}

/// The parts of a `Cookie` field. A cookie may have 4,096 bytes, and `memchr` finds its end many
/// times faster than a loop.
fn cookie_pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    iter::from_fn(move || {
        let field = rest.take()?;
        let Some((pair, after)) = split_at_first(b';', field) else { return Some(field) };
        rest = Some(after);
        Some(pair)
    })
}

/// What precedes and what follows the first `separator`.
fn split_at_first(separator: u8, text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(memchr(separator, text)?)?;
    Some((before, rest.split_first()?.1))
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut all = Vec::with_capacity(fields.size_hint().0.max(24));
        all.extend(fields);
        Self { fields: all }
    }
}

impl FieldName {
    /// Parses a name; `None` if it is not a `token` (RFC 9110, 5.6.2).
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        is_token.then(|| Self(Cow::Owned(text.to_ascii_lowercase())))
    }

    /// A name that is in lower case already.
    pub const fn from_lower_case(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Whether software that ignores case and treats `-`, `_` and `.` as equal (CGI variables, many
    /// frameworks) would take a name for this one.
    #[inline]
    pub fn is_equal_when_folded(&self, other: &str) -> bool {
        self.0.len() == other.len() && self.0.bytes().map(folded).eq(other.bytes().map(folded))
    }

    /// The name as documentation writes it, such as `X-Forwarded-Email`.
    pub fn in_title_case(&self) -> String {
        let part = |part: &str| {
            let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            first.to_ascii_uppercase() + rest
        };
        self.as_str().split('-').map(part).collect::<Vec<_>>().join("-")
    }

    /// The name in lower case.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last address of a list; some proxies add the port.
fn last_address(list: &str) -> Option<IpAddr> {
    let last = list.rsplit(',').next()?.trim();
    last.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Whether an address is not one of this machine, a private network or the shared space (RFC 6598).
const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
            !(address.is_loopback() || address.is_private() || address.is_link_local() || is_shared)
        }
        IpAddr::V6(address) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
    }
}

const fn folded(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // T41
    #[rstest]
    #[case::public("203.0.113.9", &["198.51.100.7"], "203.0.113.9")]
    #[case::public_v6("2001:db8::1", &["198.51.100.7"], "2001:db8::1")]
    #[case::loopback("127.0.0.1", &["192.0.2.1, 198.51.100.7"], "198.51.100.7")]
    #[case::mapped("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7")]
    #[case::shared("100.100.0.1", &["::ffff:198.51.100.7"], "198.51.100.7")]
    #[case::unique_local("fd00::1", &["2001:db8::7"], "2001:db8::7")]
    #[case::two_fields("127.0.0.1", &["192.0.2.1", "198.51.100.7"], "198.51.100.7")]
    #[case::with_port("127.0.0.1", &["198.51.100.7:4711"], "198.51.100.7")]
    #[case::no_address("127.0.0.1", &["198.51.100.7, unknown"], "unknown")]
    #[case::no_field("127.0.0.1", &[], "unknown")]
    fn a_proxy_names_its_client(#[case] peer: &str, #[case] fields: &[&str], #[case] client: &str) {
        let headers: Headers<'_> = fields.iter().map(|value| ("x-forwarded-for", value.as_bytes())).collect();
        let peer = Peer::from_ip(peer.parse().unwrap());
        assert_eq!(peer.unverified_client(&headers).to_string(), client);
    }
}
