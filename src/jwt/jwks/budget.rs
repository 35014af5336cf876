//! Limits the fetches caused by tokens: a burst, then one per cooldown. A `kid` is
//! unverified until its key is known, so any client can cause a fetch.

use std::time::Duration;

use crate::clock::Timestamp;

/// A token bucket of fetches.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchBudget {
    full_at: Option<Timestamp>,
}

impl FetchBudget {
    /// The size of the bucket.
    pub const CAPACITY: u32 = 4;

    /// Whether a fetch is left.
    pub fn has_left(self, cooldown: Duration, now: Timestamp) -> bool {
        self.spent(cooldown, now) <= cooldown.saturating_mul(Self::CAPACITY - 1)
    }

    /// The budget after one more fetch.
    #[must_use]
    pub fn spend_one(self, cooldown: Duration, now: Timestamp) -> Self {
        let spent = self.spent(cooldown, now).saturating_add(cooldown);
        Self { full_at: Some(now.later_by(spent)) }
    }

    /// The spent part of the budget, as the time until the bucket is full again. A value above the
    /// capacity means that the clock was set back, and counts as zero.
    fn spent(self, cooldown: Duration, now: Timestamp) -> Duration {
        let spent = self.full_at.map_or(Duration::ZERO, |at| at.time_since(now));
        if spent > cooldown.saturating_mul(Self::CAPACITY) { Duration::ZERO } else { spent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// The number of fetches allowed between two times, with one attempt per second.
    fn allowed(budget: &mut FetchBudget, from: u64, to: u64) -> usize {
        let is_allowed = |second: &u64| {
            let has_left = budget.has_left(COOLDOWN, at(*second));
            if has_left {
                *budget = budget.spend_one(COOLDOWN, at(*second));
            }
            has_left
        };
        (from..to).filter(is_allowed).count()
    }

    #[test]
    fn four_at_once_and_then_one_in_each_cooldown() {
        let mut budget = FetchBudget::default();
        assert_eq!(allowed(&mut budget, 1000, 1030), 4);
        assert_eq!(allowed(&mut budget, 1030, 1060), 1);
        assert_eq!(allowed(&mut budget, 1060, 1120), 2);
    }

    #[test]
    fn one_fetch_per_cooldown_leaves_budget_for_others() {
        let mut budget = FetchBudget::default();
        for number in 0..1000 {
            let now = at(1000 + 30 * number);
            assert!(budget.has_left(COOLDOWN, now));
            budget = budget.spend_one(COOLDOWN, now);
        }
        assert_eq!(allowed(&mut budget, 1000 + 30 * 999, 1000 + 30 * 999 + 1), 1);
    }

    // T31
    #[test]
    fn a_clock_set_back_does_not_block_fetches() {
        let mut budget = FetchBudget::default();
        assert_eq!(allowed(&mut budget, 1000, 1010), 4);
        assert!(budget.has_left(COOLDOWN, at(500)));
    }
}
