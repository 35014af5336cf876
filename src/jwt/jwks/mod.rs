//! The keys that issuers publish: fetched, cached and refreshed.

mod budget;
mod cache;
mod document;
pub mod fetch;
mod single_flight;
mod source;
mod state;

pub use cache::{JwksCache, JwksLocation, NeedsKeys, NotVerified};
pub use source::KeySource;
pub use state::{FetchCounts, InitialFetch, RefreshPolicy};
