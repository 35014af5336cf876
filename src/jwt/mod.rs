//! JSON Web Tokens (RFC 7519) in compact form (RFC 7515): reading them
//! strictly, signing them, verifying them, and the keys for that. Which claims
//! a token has is not decided here.

pub mod compact;
pub mod jwks;
pub mod key_set;
mod numeric_date;
pub mod public_key;
pub mod sign;
pub mod token_type;
pub mod verify;

/// Makes aws-lc the library's cryptography, whatever other features of it an
/// application around us has turned on. Once done, it stays so.
fn use_aws_lc() {
    // an error says that it is done already
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
