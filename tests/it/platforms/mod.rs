//! Tokens of platforms, each in its own format.

mod appdirect;
mod aws_alb;
mod caf;
pub mod commercetools;
