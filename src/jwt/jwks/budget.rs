//! How many fetches tokens may cause: a few at once, and then one in each
//! cooldown. A token's `kid` is not signed until its key is known, so anybody
//! can cause a fetch; a few are kept for whoever comes after.

use std::time::Duration;

use crate::clock::Timestamp;

/// A bucket of fetches that fills again with time.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchBudget {
    full_at: Option<Timestamp>,
}

impl FetchBudget {
    /// The most fetches at once.
    pub const MOST: u32 = 4;

    /// Whether one is left.
    pub fn is_left(self, cooldown: Duration, now: Timestamp) -> bool {
        self.spent(cooldown, now) <= cooldown.saturating_mul(Self::MOST - 1)
    }

    /// What is left after one more.
    #[must_use]
    pub fn less_one(self, cooldown: Duration, now: Timestamp) -> Self {
        let spent = self.spent(cooldown, now).saturating_add(cooldown);
        Self { full_at: Some(now.later_by(spent)) }
    }

    /// What was spent, as the time until it is there again. More than can be was
    /// written down before the clock went back, and counts as nothing.
    fn spent(self, cooldown: Duration, now: Timestamp) -> Duration {
        let spent = self.full_at.map_or(Duration::ZERO, |at| at.time_since(now));
        if spent > cooldown.saturating_mul(Self::MOST) { Duration::ZERO } else { spent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// How many fetches are caused from one moment to another, if one is wanted
    /// every second.
    fn caused(budget: &mut FetchBudget, from: u64, to: u64) -> usize {
        let is_caused = |second: &u64| {
            let is_left = budget.is_left(COOLDOWN, at(*second));
            if is_left {
                *budget = budget.less_one(COOLDOWN, at(*second));
            }
            is_left
        };
        (from..to).filter(is_caused).count()
    }

    #[test]
    fn four_at_once_and_then_one_in_each_cooldown() {
        let mut budget = FetchBudget::default();
        assert_eq!(caused(&mut budget, 1000, 1030), 4);
        assert_eq!(caused(&mut budget, 1030, 1060), 1);
        assert_eq!(caused(&mut budget, 1060, 1120), 2);
    }

    #[test]
    fn noise_of_one_in_each_cooldown_leaves_some_for_others() {
        let mut budget = FetchBudget::default();
        for number in 0..1000 {
            let now = at(1000 + 30 * number);
            assert!(budget.is_left(COOLDOWN, now));
            budget = budget.less_one(COOLDOWN, now);
        }
        assert_eq!(caused(&mut budget, 1000 + 30 * 999, 1000 + 30 * 999 + 1), 1);
    }

    // T31
    #[test]
    fn a_clock_that_went_back_holds_nothing_up() {
        let mut budget = FetchBudget::default();
        assert_eq!(caused(&mut budget, 1000, 1010), 4);
        assert!(budget.is_left(COOLDOWN, at(500)));
    }
}
