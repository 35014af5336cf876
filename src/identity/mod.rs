//! Who is asking: one room for each way in, and the closed list of them. The
//! rooms do not know each other, nor HTTP, nor the configuration file.

pub mod proxy_headers;

use crate::arrival::{Arrival, Offer};

pub use proxy_headers::ProxyHeaders;

/// The one way in which an entrance learns who is asking.
#[derive(Debug)]
pub enum Identity {
    /// A login proxy in front of us says so in request headers.
    ProxyHeaders(ProxyHeaders),
}

impl Identity {
    /// Answers an offer. Pure: the same offer gets the same answer.
    pub fn arrive(&self, offer: Offer<'_>) -> Arrival {
        match self {
            Self::ProxyHeaders(way) => way.arrive(offer),
        }
    }

    /// The name of the kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProxyHeaders(_) => "proxy_headers",
        }
    }
}
