//! The button of a refusal page: what it says, and where it leads.

/// The button of a refusal page.
#[derive(Clone, Debug)]
pub enum Button {
    /// Signs in, or opens the app again.
    Link {
        /// What it says.
        label: LinkLabel,
        /// Where it leads, at the top level.
        url: String,
        /// The same for a pop-up, which tells this page when the user is signed in.
        popup_url: Option<String>,
    },
    /// Loads the page again.
    TryAgain,
}

/// What a button says that leads to another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLabel {
    /// "Sign in".
    SignIn,
    /// "Use another account".
    OtherAccount,
    /// "Go to the app".
    App,
}
