//! Stand-ins for other companies' servers: what they sign with, and where they
//! publish the keys for it. For the playground and for tests; nothing of the
//! service uses them.

mod key_server;
mod signer;

pub use key_server::{Behaviour, KeyServer};
pub use signer::{Signer, key_set};
