//! `prompt`: what the provider asks the user for at a login (OpenID Connect Core, 3.1.2.1).

use serde::{Deserialize, Serialize};

/// What the provider asks the user for, even if the user is logged in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// To log in again.
    Login,
    /// To consent.
    Consent,
    /// To select an account.
    SelectAccount,
}

/// Which account signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum AccountChoice {
    /// Any account: the provider need not ask.
    #[default]
    Any,
    /// Another account than the one that is logged in at the provider, which has to ask the user.
    Other,
}

/// Google documents `select_account`, but not `login`
/// (<https://developers.google.com/identity/openid-connect/openid-connect#authenticationuriparameters>).
const GOOGLE: &str = "https://accounts.google.com";

impl Prompt {
    /// All values.
    pub(super) const ALL: [Self; 3] = [Self::Login, Self::Consent, Self::SelectAccount];

    /// The value of the parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    /// The value that lets the user choose another account. Each provider has to support `login`
    /// (15.1), but some do not support `select_account`; Microsoft rejects several values in one
    /// request.
    pub(super) fn for_other_account(configured: Option<Self>, issuer: &str) -> Self {
        match configured {
            Some(Self::SelectAccount) => Self::SelectAccount,
            Some(Self::Login | Self::Consent) | None if issuer == GOOGLE => Self::SelectAccount,
            Some(Self::Login | Self::Consent) | None => Self::Login,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, "https://id.example.com", Prompt::Login)]
    #[case(Some(Prompt::Consent), "https://id.example.com", Prompt::Login)]
    #[case(Some(Prompt::SelectAccount), "https://id.example.com", Prompt::SelectAccount)]
    #[case(None, GOOGLE, Prompt::SelectAccount)]
    fn another_account_is_asked_for(
        #[case] configured: Option<Prompt>,
        #[case] issuer: &str,
        #[case] asked: Prompt,
    ) {
        assert_eq!(Prompt::for_other_account(configured, issuer), asked);
    }
}
