//! Stand-ins for issuers: signing keys, and a server that publishes them. For
//! the playground and the tests; the service does not use them.

mod key_server;
mod signer;

pub use key_server::{Behaviour, KeyServer};
pub use signer::{Signer, key_set};
