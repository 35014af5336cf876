//! The way out: where a user is sent, and with which token. Pure; what Pandium
//! documents, and how sure that is, stands with each fact.
//!
//! <https://docs.pandium.com/embedding-the-in-app-marketplace>

mod address;
pub mod claims;
mod environment;
mod hand_off;
pub mod known_rules;
mod link;

pub use address::{Account, BadAccount, BadBaseUrl, BaseUrl};
pub use claims::Claims;
pub use environment::Environment;
pub use hand_off::{HandOff, HandOffError, Marketplace, SelfTestError, Settings};
pub use link::{Link, LinkRules, UnknownParameters};
