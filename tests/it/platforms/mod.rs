//! Users of platforms that vouch for them, each with tokens of its own form.

mod appdirect;
mod aws_alb;
mod caf;
mod commercetools;
