//! The three plans that the sample people are on and the sample integrations
//! need. It is not Pandium's: there, tiers are agreed for each account.

use serde::Serialize;

/// A plan; a later one holds everything of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// What everybody gets.
    Free,
    /// What a growing company buys.
    Pro,
    /// What a large one buys.
    Enterprise,
}

impl Tier {
    /// Reads a tier as it stands in a token; `None` for any other word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Free, Self::Pro, Self::Enterprise].into_iter().find(|tier| tier.word() == text)
    }

    /// The word for headers, tokens and class names.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// The word for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Pro => "Pro",
            Self::Enterprise => "Enterprise",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_reads_as_it_is_written_and_later_ones_hold_more() {
        assert_eq!(Tier::parse("pro"), Some(Tier::Pro));
        assert_eq!(Tier::parse("Pro"), None);
        assert!(Tier::Free < Tier::Pro && Tier::Pro < Tier::Enterprise);
    }
}
