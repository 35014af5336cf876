//! Tokens of any issuer, by configured validation and keys. Nothing in a token
//! decides where keys are fetched. An issuer with well-known settings is a preset:
//! data that fills in the same settings.

pub mod presets;
pub mod settings;
