//! The section `[limits]`.

use crate::limits::LimitSettings;
use crate::settings::{Reported, Section};

/// The maximum value; a higher limit would have no effect in practice.
const MAX: u64 = 1_000_000;

pub(super) fn read(section: &Section<'_>) -> Result<LimitSettings, Reported> {
    let limit = |name| section.number(name, 0, MAX).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let handoffs = limit("handoffs_per_subject_per_minute");
    let refusals = limit("refusals_per_peer_per_minute");
    let guesses = limit("token_guesses_per_peer_per_minute");
    section.finish();
    Ok(LimitSettings {
        handoffs_per_subject: handoffs?,
        refusals_per_peer: refusals?,
        token_guesses_per_peer: guesses?,
    })
}
