//! mittwald: this service is the backend of an mStudio extension. The platform sends lifecycle
//! webhooks, signed with Ed25519 over the raw body; it publishes the keys by serial; and it
//! exchanges an instance's secret for an access token.
//!
//! Documented: the fields of a webhook and its three header fields; that a serial always names the
//! same key; the limit of 6 s for a response; at-least-once delivery; that a rotated secret becomes
//! valid with our 2xx response. The documentation spells the kinds in several ways, so each
//! spelling is accepted. Not documented: whether a repeated delivery keeps `request.createdAt`;
//! either is accepted.
//!
//! <https://developer.mittwald.de/docs/v2/contribution/overview/concepts/lifecycle-webhooks>

pub mod api;
mod delivery;
mod identity;
mod keys;
mod needs;
mod opening;
mod session_token;
pub(crate) mod settings;
mod signature;
mod transport;
mod values;

pub use delivery::{
    BadDelivery, Change, Delivery, Expected, ExtensionContext, Handling, InstanceState, NotForUs,
};
pub use identity::{MittwaldIdentity, SESSION_TOKEN};
pub use keys::{KeyUnavailable, PublicKey, PublicKeys};
pub use needs::{MittwaldFetched, MittwaldNeeds};
pub use settings::MittwaldSettings;
pub use signature::{BadSignature, VerifiedBody, WebhookSignature};
pub use transport::ApiError;
pub use values::{AccessToken, BadSecretText, InstanceSecret, RetrievalKey, Serial};

/// The part of a query that is about the link.
pub(super) fn link_query(query: &str) -> String {
    opening::Opening::without(query)
}
