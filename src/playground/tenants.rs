//! Installs made in the stand-in marketplace since its start, in memory. Those
//! that a token lists are not included.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Installs by `sub`.
#[derive(Default)]
pub struct Tenants {
    by_sub: Mutex<HashMap<String, BTreeSet<u32>>>,
}

impl Tenants {
    /// The ids of the integrations that this `sub` has installed.
    pub fn of(&self, sub: &str) -> BTreeSet<u32> {
        self.lock().get(sub).cloned().unwrap_or_default()
    }

    /// Installs an integration for this `sub`; idempotent.
    pub fn add(&self, sub: &str, integration_id: u32) {
        self.lock().entry(sub.to_owned()).or_default().insert(integration_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeSet<u32>>> {
        self.by_sub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_belong_to_one_user() {
        let tenants = Tenants::default();
        tenants.add("ada", 1121);
        tenants.add("ada", 1121);
        assert_eq!((tenants.of("ada"), tenants.of("ben")), (BTreeSet::from([1121]), BTreeSet::new()));
    }
}
