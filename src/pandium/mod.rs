//! Hand-offs to Pandium: environments, claims, links, and the signed URL. Pure. Facts about Pandium
//! name their source.
//!
//! <https://docs.pandium.com/embedding-the-in-app-marketplace>

mod account_url;
pub mod claims;
mod environment;
mod hand_off;
pub mod known_rules;
mod link;

pub use account_url::{Account, BadAccount, BadBaseUrl, BaseUrl};
pub use claims::Claims;
pub use environment::Environment;
pub use hand_off::{HandOff, HandOffError, Marketplace, MarketplaceSettings, SelfTestError};
pub use link::{Link, LinkRules, UnknownParameters};
