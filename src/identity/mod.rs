//! Who is asking: one room for each way in, and the closed list of them. The
//! rooms do not know each other, nor HTTP, nor the configuration file.

pub mod bearer;
pub mod proxy_headers;

use crate::arrival::{Arrival, Offer};
use crate::clock::Moment;

pub use bearer::Bearer;
pub use proxy_headers::ProxyHeaders;

/// The one way in which an entrance learns who is asking.
#[derive(Debug)]
pub enum Identity {
    /// A login proxy in front of us says so in request headers.
    ProxyHeaders(ProxyHeaders),
    /// A token that an issuer has signed says so.
    Bearer(Box<Bearer>),
}

impl Identity {
    /// Answers an offer. Pure: the same offer gets the same answer.
    pub fn arrive(&self, offer: Offer<'_>, now: Moment) -> Arrival {
        match self {
            Self::ProxyHeaders(way) => way.arrive(offer),
            Self::Bearer(way) => way.arrive(offer, now),
        }
    }

    /// The name of the kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProxyHeaders(_) => "proxy_headers",
            Self::Bearer(_) => "bearer",
        }
    }

    /// The scheme by which a client may prove itself (RFC 9110, 11.6.1).
    pub fn challenge(&self) -> Option<&str> {
        match self {
            Self::ProxyHeaders(_) => None,
            Self::Bearer(way) => match &way.place {
                bearer::Place::Header { scheme, .. } => scheme.as_deref(),
                bearer::Place::Cookie(_) => None,
            },
        }
    }

    /// The header in which a script of an allowed page brings its proof, if it
    /// can bring one itself.
    pub fn script_header(&self) -> Option<&str> {
        match self {
            Self::ProxyHeaders(_) => None,
            Self::Bearer(way) => match &way.place {
                bearer::Place::Header { name, .. } => Some(name),
                bearer::Place::Cookie(_) => None,
            },
        }
    }
}
