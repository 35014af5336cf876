//! mittwald: this service is the backend of an mStudio extension. The platform sends lifecycle
//! webhooks, signed with Ed25519 over the raw body; it publishes the keys by serial; and it
//! exchanges an instance's secret for an access token.
//!
//! Documented: the fields of a webhook, its three header fields, the keys and their stability, the
//! limit of 6 s for a response, delivery at least once, that a rotated secret is valid from our 2xx.
//! Contradictory in the documentation: the spelling of the kinds, so all are accepted. Not
//! documented: whether a repeated delivery keeps `request.createdAt`; either is accepted.
//!
//! <https://developer.mittwald.de/docs/v2/contribution/overview/concepts/lifecycle-webhooks>

pub mod api;
mod delivery;
mod identity;
mod keys;
mod opening;
mod session_token;
pub(crate) mod settings;
mod signature;
mod values;

pub use delivery::{BadDelivery, Change, Context, Delivery, Expected, Handling, InstanceState, NotForUs};
pub use identity::{MittwaldFetched, MittwaldIdentity, MittwaldNeeds, SESSION_TOKEN};
pub use keys::{KeyUnavailable, PublicKey, PublicKeys};
pub use settings::MittwaldSettings;
pub use signature::{BadSignature, VerifiedBody, WebhookSignature};
pub use values::{AccessToken, BadSecretText, InstanceSecret, RetrievalKey, Serial};

/// The part of a query that is about the link.
pub(super) fn link_query(query: &str) -> String {
    opening::Opening::without(query)
}
