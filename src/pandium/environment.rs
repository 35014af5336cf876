//! Pandium's environments. A secret belongs to one of them.

use std::fmt;
use std::str::FromStr;

/// One of Pandium's environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Live integrations of customers.
    Production,
    /// A customer's test environment.
    Sandbox,
    /// Demonstrations and proofs of concept.
    Demo,
}

impl Environment {
    /// All environments.
    pub const ALL: [Self; 3] = [Self::Production, Self::Sandbox, Self::Demo];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
            Self::Demo => "demo",
        }
    }

    /// The base URL of its marketplaces. Production ends in `.io`, the others in
    /// `.com` (as Pandium documents).
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Production => "https://imp.pandium.io",
            Self::Sandbox => "https://imp.sandbox.pandium.com",
            Self::Demo => "https://imp.demo.pandium.com",
        }
    }

    /// Whether URLs must be https.
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
