//! The button of a refusal page: its label and its action.

/// The button of a refusal page.
#[derive(Clone, Debug)]
pub enum Button {
    /// Signs in, or opens the app again.
    Link {
        /// The label.
        label: LinkLabel,
        /// The URL, which is opened as a top-level page.
        url: String,
        /// The URL for a pop-up, which posts a message to this page when the user is signed in.
        popup_url: Option<String>,
    },
    /// Loads the page again.
    TryAgain,
}

/// The label of a button that links to another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLabel {
    /// "Sign in".
    SignIn,
    /// "Use another account".
    OtherAccount,
    /// "Go to the app".
    App,
}
