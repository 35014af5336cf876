//! Pandium's environments. A secret belongs to one of them.

use std::fmt;
use std::str::FromStr;

/// One of Pandium's environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Customers' real integrations.
    Production,
    /// A customer's own trials.
    Sandbox,
    /// Trials and proofs of concept.
    Demo,
}

impl Environment {
    /// Every environment.
    pub const ALL: [Self; 3] = [Self::Production, Self::Sandbox, Self::Demo];

    /// The name, as the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
            Self::Demo => "demo",
        }
    }

    /// Where its marketplaces are. Production ends in `.io`, the others in
    /// `.com` (documented by Pandium).
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Production => "https://imp.pandium.io",
            Self::Sandbox => "https://imp.sandbox.pandium.com",
            Self::Demo => "https://imp.demo.pandium.com",
        }
    }

    /// Whether plain HTTP is out of the question.
    pub const fn requires_https(self) -> bool {
        match self {
            Self::Production => true,
            Self::Sandbox | Self::Demo => false,
        }
    }
}

impl FromStr for Environment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|environment| environment.name() == text).ok_or(())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
