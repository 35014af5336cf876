//! Parses single values of identity headers.

use crate::refusal::{Reason, Refusal};
use crate::user::{BadText, Email, Identifier, Label};

pub(super) fn email(text: &str) -> Result<Email, Refusal> {
    check_single("e-mail", text)?;
    Email::parse(text).map_err(|why| bad("e-mail", why))
}

pub(super) fn identifier(text: &str) -> Result<Identifier, Refusal> {
    check_single("id", text)?;
    Identifier::parse(text).map_err(|why| bad("id", why))
}

pub(super) fn label(what: &str, text: &str) -> Result<Label, Refusal> {
    Label::parse(text).map_err(|why| bad(what, why))
}

/// Rejects a comma, by which proxies combine repeated fields (RFC 9110, 5.3).
fn check_single(what: &str, text: &str) -> Result<(), Refusal> {
    if text.contains(',') {
        return Err(Reason::AmbiguousIdentity
            .because(format!("there is a comma in the {what}: it may be several in one")));
    }
    Ok(())
}

pub(super) fn bad(what: &str, why: BadText) -> Refusal {
    Reason::BadIdentity.because(format!("the {what} cannot be used: {why}"))
}
