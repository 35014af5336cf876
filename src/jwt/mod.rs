//! JSON Web Tokens (RFC 7519) in compact form (RFC 7515): signing them, and
//! verifying them with every option named. Which claims a token has is not
//! decided here.

pub mod sign;
pub mod verify;
