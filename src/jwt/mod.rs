//! JSON Web Tokens (RFC 7519) in compact serialization (RFC 7515): strict
//! parsing, signing, verification, and keys. This module does not decide which claims a token has.

pub mod compact;
pub mod jwks;
pub mod key_set;
pub mod numeric_date;
pub mod private_key;
pub mod public_key;
pub mod sign;
pub mod skipped_key;
pub mod token_type;
pub mod verify;

/// Installs aws-lc as jsonwebtoken's crypto provider, whatever features of jsonwebtoken an
/// application that embeds this library has enabled. Idempotent.
fn use_aws_lc() {
    // an error means that a provider is installed already
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
