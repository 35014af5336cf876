//! The platforms that the playground simulates: one file for each.

mod appdirect;
mod bearer;
mod caf;
mod commercetools;

use super::kind::Kind;

/// All of them.
pub const ALL: [&Kind; 4] =
    [&appdirect::APP_DIRECT, &commercetools::COMMERCETOOLS, &caf::CAF, &bearer::BEARER];

/// Finds a platform by the value of `--as`.
pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.into_iter().find(|kind| kind.name == name)
}
