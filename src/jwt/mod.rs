//! JSON Web Tokens (RFC 7519) in compact serialization (RFC 7515): strict
//! parsing, signing, verification, and keys. Which claims a token has is not
//! decided here.

pub mod compact;
pub mod jwks;
pub mod key_set;
pub mod numeric_date;
pub mod private_key;
pub mod public_key;
pub mod sign;
pub mod token_type;
pub mod verify;

/// Installs aws-lc as jsonwebtoken's crypto provider, whichever features an
/// embedding application has enabled. Idempotent.
fn use_aws_lc() {
    // an error means that a provider is installed already
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
