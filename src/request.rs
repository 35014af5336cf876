//! What a request offers as proof of who is asking, free of any web framework,
//! and the three answers to it.

use std::net::IpAddr;

/// Who is at the other end of the socket. No header has a say in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A network address; an IPv4 address in IPv6 clothes is that IPv4 address.
    Ip(IpAddr),
    /// A process that the file mode of our Unix socket lets in.
    UnixSocket,
    /// The system does not say.
    Unknown,
}

/// A request's header fields: names in lower case, values as bytes, in no
/// promised order, with every repetition.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    fields: Vec<(&'a str, &'a [u8])>,
}

/// A header that is to have one value has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Peer {
    /// The peer at that address.
    pub fn from_ip(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
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

    /// The only value of a field; `name` in lower case.
    pub fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut all = Vec::with_capacity(fields.size_hint().0.max(24));
        all.extend(fields);
        Self { fields: all }
    }
}
