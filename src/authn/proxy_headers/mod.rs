//! Identity in plain request headers of a login proxy. Any client can send such
//! headers, so they count only from trusted peers, and only those that are
//! configured are read.
//!
//! Which proxy sends which headers is data, in [`presets`].

mod azure;
mod encoded_word;
mod gather;
mod layout;
pub mod presets;
mod read;
pub(crate) mod settings;
mod trust;
mod values;

use std::borrow::Cow;

pub use layout::{BadLayout, Encoding, Field, Layout};
pub use trust::TrustedProxies;

use super::authentication::{AuthRequest, Authentication};
use crate::refusal::{Reason, Refusal};
use crate::request::{FieldName, Peer};
use gather::Gathered;

/// Authenticates by the headers of a login proxy.
#[derive(Debug)]
pub struct ProxyHeaders {
    trusted: TrustedProxies,
    layout: Layout,
}

impl ProxyHeaders {
    /// Accepts the headers of `layout` from the peers in `trusted`.
    pub const fn new(trusted: TrustedProxies, layout: Layout) -> Self {
        Self { trusted, layout }
    }

    /// Whether the headers of this peer are accepted.
    pub fn trusts(&self, peer: Peer) -> bool {
        self.trusted.contains(peer)
    }

    /// Whether users can have this field.
    pub fn can_yield(&self, name: &str) -> bool {
        let has = |wanted: &[Field]| {
            let fields = self.layout.fields.iter().map(|(field, _)| field);
            fields.into_iter().any(|field| wanted.contains(field) || *field == Field::AzurePrincipal)
        };
        match name.split_once('.') {
            None => match name {
                "id" => has(&[Field::Id]),
                "email" => has(&[Field::Email, Field::Login]),
                "name" => has(&[Field::Name]),
                "username" => has(&[Field::Username, Field::Login]),
                "organization" => has(&[Field::OrganizationId, Field::OrganizationName]),
                "token" => false,
                // the contents of attributes and groups are not known here
                _ => true,
            },
            Some(("organization", "id")) => has(&[Field::OrganizationId]),
            Some(("organization", "name")) => has(&[Field::OrganizationName]),
            Some(("attributes", rest)) => {
                let first = rest.split('.').next().unwrap_or(rest);
                has(&[Field::Attribute(Cow::Owned(first.to_owned()))])
            }
            Some(("token", _)) => false,
            Some(_) => true,
        }
    }

    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>) -> Authentication {
        let gathered = Gathered::from(&self.layout, request.headers);
        if !self.trusted.contains(request.peer) {
            return if gathered.is_empty() {
                Authentication::NoCredentials
            } else {
                Authentication::Rejected(
                    Reason::UntrustedPeer
                        .because("an identity header came from a peer outside identity.trusted_proxies"),
                )
            };
        }
        match self.has_credentials(&gathered) {
            Ok(true) => match read::user(&self.layout, &gathered) {
                Ok(user) => Authentication::User(Box::new(user)),
                Err(refusal) => Authentication::Rejected(refusal),
            },
            Ok(false) => Authentication::NoCredentials,
            Err(refusal) => Authentication::Rejected(refusal),
        }
    }

    /// A hint for the log if a request lacks the primary header, but has another configured header
    /// or the primary header of another preset. It quotes no value.
    pub fn explain_absence(&self, request: AuthRequest<'_>) -> Option<String> {
        let (_, own) = self.layout.fields.first()?;
        let gathered = Gathered::from(&self.layout, request.headers);
        if !gathered.is_empty() {
            let is_trusted = self.trusted.contains(request.peer);
            let cause =
                || format!("{} is missing or empty; without it there is no user", own.in_title_case());
            return is_trusted.then(cause);
        }
        let mut others: Vec<String> = Vec::new();
        for (_, name) in presets::ALL.iter().filter_map(|preset| preset.fields.first()) {
            let is_present = || request.headers.all(name).any(|value| !read::means_no_user(value));
            if *name != own.as_str() && is_present() {
                others.push(FieldName::from_lower_case(name).in_title_case());
            }
        }
        let verb = if others.len() == 1 { "was" } else { "were" };
        let origin = if self.trusted.contains(request.peer) {
            ""
        } else {
            ", from a peer outside identity.trusted_proxies"
        };
        (!others.is_empty()).then(|| {
            let (preset, own, others) = (self.layout.name, own.in_title_case(), others.join(" and "));
            format!("preset {preset} reads {own}; {others} {verb} present{origin}")
        })
    }

    /// Whether the headers identify a user; a refusal if they are ambiguous.
    fn has_credentials(&self, gathered: &Gathered<'_>) -> Result<bool, Refusal> {
        if gathered.forbidden {
            return Err(Reason::UntrustedPeer
                .because("the proxy marks this request as unauthenticated traffic from the internet"));
        }
        if gathered.hop_by_hop {
            return Err(Reason::AmbiguousIdentity.because("the Connection header names an identity header"));
        }
        let primary = gathered.values.first().copied().flatten();
        if gathered.primary_repeated {
            return Err(Reason::AmbiguousIdentity.because("the primary identity header is repeated"));
        }
        if primary.is_none_or(read::means_no_user) {
            return Ok(false);
        }
        if gathered.repeated {
            return Err(Reason::AmbiguousIdentity.because("an identity header is repeated"));
        }
        if gathered.alias {
            return Err(Reason::AmbiguousIdentity
                .because("an identity header has a second spelling, with '_' or '.' for '-'"));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rstest::rstest;

    use super::*;
    use crate::clock::Timestamp;
    use crate::request::{Headers, Peer};

    fn authenticate(preset: &str, fields: &[(&str, &str)]) -> Result<Option<(String, String)>, Reason> {
        let preset = presets::ALL.iter().find(|known| known.name == preset).unwrap();
        let trusted = TrustedProxies::new(TrustedProxies::parse_network("127.0.0.1"));
        let headers: Headers<'_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let peer = Peer::from_ip([127, 0, 0, 1].into());
        match ProxyHeaders::new(trusted, preset.layout()).authenticate(AuthRequest {
            peer,
            path: None,
            headers: &headers,
            query: "",
            received: Timestamp::from_unix_seconds(0),
            fetched: None,
        }) {
            Authentication::NoCredentials => Ok(None),
            Authentication::Rejected(refusal) => Err(refusal.reason),
            Authentication::Needs(needs) => unreachable!("{needs:?}"),
            Authentication::User(user) => {
                let email = user.email.map(|email| email.as_str().to_owned()).unwrap_or_default();
                Ok(Some((email, user.id.map(|id| id.as_str().to_owned()).unwrap_or_default())))
            }
        }
    }

    #[rstest]
    #[case::login_alone(&[("x-vouch-user", "a@example.com")], Ok(Some("a@example.com")))]
    #[case::a_name_and_an_email(&[("x-vouch-user", "a"), ("x-vouch-idp-claims-email", "a@example.com")],
        Ok(Some("a@example.com")))]
    #[case::contradiction(&[("x-vouch-user", "a@example.com"), ("x-vouch-idp-claims-email", "boss@example.com")],
        Err(Reason::AmbiguousIdentity))]
    #[case::claims_alone(&[("x-vouch-idp-claims-email", "a@example.com")], Ok(None))]
    fn vouch_users_are_identified_by_its_own_header(
        #[case] fields: &[(&str, &str)],
        #[case] email: Result<Option<&str>, Reason>,
    ) {
        let authenticated = authenticate("vouch", fields).map(|user| user.map(|(email, _)| email));
        assert_eq!(authenticated, email.map(|email| email.map(str::to_owned)));
    }

    #[rstest]
    #[case::agrees("42", Ok(Some(("a@corp.example".to_owned(), "42".to_owned()))))]
    #[case::contradicts("43", Err(Reason::AmbiguousIdentity))]
    fn azure_headers_must_agree_with_the_principal(
        #[case] id: &str,
        #[case] expected: Result<Option<(String, String)>, Reason>,
    ) {
        let principal = STANDARD.encode(
            r#"{"claims":[{"typ":"email","val":"boss@corp.example"},{"typ":"preferred_username","val":"a@corp.example"},
                {"typ":"sub","val":"42"}]}"#,
        );
        let fields = [("x-ms-client-principal", principal.as_str()), ("x-ms-client-principal-id", id)];
        assert_eq!(authenticate("azure", &fields), expected);
    }

    #[test]
    fn a_repeated_azure_claim_is_ambiguous() {
        let principal = STANDARD.encode(
            r#"{"claims":[{"typ":"email","val":"a@corp.example"},{"typ":"email","val":"b@corp.example"}]}"#,
        );
        assert_eq!(
            authenticate("azure", &[("x-ms-client-principal", &principal)]),
            Err(Reason::AmbiguousIdentity)
        );
    }

    #[rstest]
    #[case::another_presets("oauth2_proxy", &[("x-auth-request-email", "a@b.example")],
        Some("preset oauth2_proxy reads X-Forwarded-Email; X-Auth-Request-Email was present"))]
    #[case::two_others("vouch", &[("remote-user", "a"), ("x-forwarded-email", "a@b.example")],
        Some("preset vouch reads X-Vouch-User; X-Forwarded-Email and Remote-User were present"))]
    #[case::another_without_a_value("oauth2_proxy", &[("x-auth-request-email", "")], None)]
    #[case::nothing("oauth2_proxy", &[("x-unrelated", "a")], None)]
    fn a_wrong_preset_is_explained(
        #[case] preset: &str,
        #[case] fields: &[(&str, &str)],
        #[case] cause: Option<&str>,
    ) {
        assert_eq!(explain(preset, fields, Peer::UnixSocket).as_deref(), cause);
        let by_untrusted =
            cause.map(|cause| format!("{cause}, from a peer outside identity.trusted_proxies"));
        assert_eq!(explain(preset, fields, Peer::Unknown), by_untrusted);
    }

    #[test]
    fn a_missing_primary_header_is_named() {
        let fields = [("x-forwarded-user", "a"), ("x-auth-request-email", "a@b.example")];
        let cause = "X-Forwarded-Email is missing or empty; without it there is no user";
        assert_eq!(explain("oauth2_proxy", &fields, Peer::UnixSocket).as_deref(), Some(cause));
        assert_eq!(explain("oauth2_proxy", &fields, Peer::Unknown), None);
    }

    fn explain(preset: &str, fields: &[(&str, &str)], peer: Peer) -> Option<String> {
        let preset = presets::ALL.iter().find(|known| known.name == preset).unwrap();
        let headers: Headers<'_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        ProxyHeaders::new(TrustedProxies::default(), preset.layout()).explain_absence(AuthRequest {
            peer,
            path: None,
            headers: &headers,
            query: "",
            received: crate::clock::Timestamp::now(),
            fetched: None,
        })
    }
}
