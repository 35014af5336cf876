//! Erases a person: overwrites the personal data in stored events, while the chains stay
//! verifiable.

use super::writer::ChainWriter;
use crate::store::{Store, StoreError};

/// The maximum number of events that one transaction erases.
const STEP: i64 = 1_000;

/// Erases subject, peer and user agent of every event with one of these subjects, and records
/// that. Returns the number of events.
pub async fn forget(
    store: &Store,
    chain: &mut ChainWriter,
    subjects: &[String],
) -> Result<usize, StoreError> {
    let mut erased = 0;
    for subject in subjects {
        loop {
            match chain.erase(subject, STEP).await? {
                0 => break,
                count => erased += count,
            }
        }
    }
    store.overwrite_erased().await?;
    Ok(erased)
}
