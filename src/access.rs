//! Authorization: the operator's rules for authenticated users.

use crate::refusal::{Reason, Refusal};
use crate::user::{Email, User};

/// The authorization rules. Empty lists allow every user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The allowed domains of the e-mail address, case-insensitive.
    pub email_domains: Vec<String>,
    /// The user must be in one of these groups.
    pub groups: Vec<String>,
    /// The user must not be in any of these groups.
    pub denied_groups: Vec<String>,
}

impl Access {
    /// Checks the user against the rules.
    pub fn allow(&self, user: &User) -> Result<(), Refusal> {
        let is_in = |groups: &[String]| {
            user.groups.iter().any(|group| groups.iter().any(|listed| listed == group.as_str()))
        };
        if is_in(&self.denied_groups) {
            return Err(Reason::NotAllowed.because("the user is in one of access.denied_groups"));
        }
        if !self.groups.is_empty() && !is_in(&self.groups) {
            return Err(Reason::NotAllowed.because("the user is in none of access.groups"));
        }
        if !self.email_domains.is_empty() && !user.email.as_ref().is_some_and(|email| self.has_domain(email))
        {
            return Err(Reason::NotAllowed.because("the e-mail has none of access.email_domains"));
        }
        Ok(())
    }

    fn has_domain(&self, email: &Email) -> bool {
        self.email_domains.iter().any(|domain| domain.eq_ignore_ascii_case(email.domain()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::user::Label;

    #[rstest]
    #[case::no_rules(&[], &[], &[], true)]
    #[case::domain(&["Example.com"], &[], &[], true)]
    #[case::other_domain(&["ample.com"], &[], &[], false)]
    #[case::subdomain(&["com"], &[], &[], false)]
    #[case::group(&[], &["b", "staff"], &[], true)]
    #[case::other_group(&[], &["b"], &[], false)]
    #[case::case_of_a_group(&[], &["Staff"], &[], false)]
    #[case::denied(&[], &["staff"], &["staff"], false)]
    fn access_rules_are_applied(
        #[case] domains: &[&str],
        #[case] groups: &[&str],
        #[case] denied: &[&str],
        #[case] is_allowed: bool,
    ) {
        let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        let access =
            Access { email_domains: owned(domains), groups: owned(groups), denied_groups: owned(denied) };
        let user = User {
            email: Email::parse("alice@example.com").ok(),
            groups: Label::parse("staff").into_iter().collect(),
            ..User::default()
        };
        assert_eq!(access.allow(&user).is_ok(), is_allowed);
    }

    #[test]
    fn a_user_without_an_email_has_no_domain() {
        let access = Access { email_domains: vec!["example.com".into()], ..Access::default() };
        assert!(access.allow(&User::default()).is_err());
    }
}
