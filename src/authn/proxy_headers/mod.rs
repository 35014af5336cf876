//! Identity in plain request headers of a login proxy. Any client can send such
//! headers, so they count only from trusted peers, and only those that are
//! configured are read.
//!
//! Which proxy sends which headers is data, in [`presets`].

mod azure;
mod encoded_word;
mod gather;
pub mod presets;
mod read;
mod trust;

use std::borrow::Cow;

pub use trust::TrustedProxies;

use crate::authn::{AuthRequest, Authentication};
use crate::refusal::{Reason, Refusal};
use gather::Gathered;
use presets::Preset;

/// Authenticates by the headers of a login proxy.
#[derive(Debug)]
pub struct ProxyHeaders {
    trusted: TrustedProxies,
    layout: Layout,
}

/// Which header carries which field of the user, and how it is encoded. The
/// first is the primary one: without it a request has no credentials.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The preset's name, or `custom`.
    name: &'static str,
    fields: Vec<(Field, FieldName)>,
    encoding: Encoding,
    list_separator: char,
    refused_with: Vec<FieldName>,
}

/// The field of the user that a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The user's id.
    Id,
    /// The e-mail address.
    Email,
    /// The login name, and the e-mail address too where it contains `@`.
    Login,
    /// The display name.
    Name,
    /// The login name.
    Username,
    /// The groups, in one header, separated.
    Groups,
    /// The id of the user's organization.
    OrganizationId,
    /// The name of the user's organization.
    OrganizationName,
    /// Azure's principal: base64 of JSON.
    AzurePrincipal,
    /// An attribute of this name.
    Attribute(Cow<'static, str>),
}

/// The name of a layout without a preset.
const CUSTOM: &str = "custom";

/// How a proxy encodes text that is not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As UTF-8.
    Utf8,
    /// As encoded words (RFC 2047).
    EncodedWords,
}

/// The name of a header field (RFC 9110, 5.1), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(Cow<'static, str>);

/// Why fields cannot be a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLayout {
    /// No e-mail, id or username.
    #[error("none of the headers identifies the user")]
    NoIdentifier,
    /// Two headers differ only in `-`, `_` and `.`, so that each would make the
    /// other ambiguous.
    #[error("two of the headers differ only in '-', '_' and '.'")]
    AmbiguousNames,
}

impl ProxyHeaders {
    /// Accepts the headers of `layout` from the peers in `trusted`.
    pub const fn new(trusted: TrustedProxies, layout: Layout) -> Self {
        Self { trusted, layout }
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

    /// A hint for the log where a request has no configured header but the
    /// primary one of another preset. It quotes no value.
    pub fn explain_absence(&self, request: AuthRequest<'_>) -> Option<String> {
        if !Gathered::from(&self.layout, request.headers).is_empty() {
            return None;
        }
        let (_, own) = self.layout.fields.first()?;
        let mut others: Vec<String> = Vec::new();
        for (_, name) in presets::ALL.iter().filter_map(|preset| preset.fields.first()) {
            let is_present = || request.headers.all(name).any(|value| !read::means_no_user(value));
            if *name != own.as_str() && is_present() {
                others.push(FieldName::from_static(name).in_title_case());
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

    /// Whether the headers identify a user; a refusal where they are ambiguous.
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

impl Layout {
    /// The same layout with additional headers.
    pub fn with(mut self, more: Vec<(Field, FieldName)>) -> Self {
        self.fields.extend(more);
        self
    }

    /// The layout of a preset.
    pub fn preset(preset: &Preset) -> Self {
        Self {
            name: preset.name,
            fields: preset
                .fields
                .iter()
                .map(|(field, name)| (field.clone(), FieldName::from_static(name)))
                .collect(),
            encoding: preset.encoding,
            list_separator: preset.list_separator,
            refused_with: preset.refused_with.iter().map(|name| FieldName::from_static(name)).collect(),
        }
    }

    /// A layout of configured headers. The primary header is that of the e-mail,
    /// else of the id, else of the username.
    pub fn custom(mut fields: Vec<(Field, FieldName)>, list_separator: char) -> Result<Self, BadLayout> {
        let primary = [Field::Email, Field::Id, Field::Username]
            .iter()
            .find_map(|wanted| fields.iter().position(|(field, _)| field == wanted))
            .ok_or(BadLayout::NoIdentifier)?;
        fields.swap(0, primary);
        let alike = |(index, (_, one)): (usize, &(Field, FieldName))| {
            fields.iter().skip(index + 1).any(|(_, other)| one != other && one.is_alias_of(other))
        };
        if fields.iter().enumerate().any(alike) {
            return Err(BadLayout::AmbiguousNames);
        }
        Ok(Self { name: CUSTOM, fields, encoding: Encoding::Utf8, list_separator, refused_with: Vec::new() })
    }
}

impl FieldName {
    /// Parses a name; `None` where it is not a `token` (RFC 9110, 5.6.2).
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        is_token.then(|| Self(Cow::Owned(text.to_ascii_lowercase())))
    }

    /// A preset's name, already in lower case.
    const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Whether the names are equal to software that treats `-`, `_` and `.` alike
    /// (CGI variables, many frameworks).
    fn is_alias_of(&self, other: &Self) -> bool {
        gather::same_when_folded(self.as_str(), other)
    }

    /// The name as documentation writes it, such as `X-Forwarded-Email`.
    fn in_title_case(&self) -> String {
        let part = |part: &str| {
            let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            first.to_ascii_uppercase() + rest
        };
        self.as_str().split('-').map(part).collect::<Vec<_>>().join("-")
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
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
        match ProxyHeaders::new(trusted, Layout::preset(preset)).authenticate(AuthRequest {
            peer,
            path: None,
            headers: &headers,
            received: Timestamp::from_unix_seconds(0),
        }) {
            Authentication::NoCredentials => Ok(None),
            Authentication::Rejected(refusal) => Err(refusal.reason),
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
    #[case::its_own_is_there("oauth2_proxy", &[("x-forwarded-user", "a"), ("x-auth-request-email", "a@b.example")], None)]
    #[case::another_without_a_value("oauth2_proxy", &[("x-auth-request-email", "")], None)]
    #[case::nothing("oauth2_proxy", &[("x-unrelated", "a")], None)]
    fn a_wrong_preset_is_explained(
        #[case] preset: &str,
        #[case] fields: &[(&str, &str)],
        #[case] cause: Option<&str>,
    ) {
        let preset = presets::ALL.iter().find(|known| known.name == preset).unwrap();
        let headers: Headers<'_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let request = |peer| AuthRequest {
            peer,
            path: None,
            headers: &headers,
            received: crate::clock::Timestamp::now(),
        };
        let authenticator = ProxyHeaders::new(TrustedProxies::default(), Layout::preset(preset));
        assert_eq!(authenticator.explain_absence(request(Peer::UnixSocket)).as_deref(), cause);
        let by_untrusted =
            cause.map(|cause| format!("{cause}, from a peer outside identity.trusted_proxies"));
        assert_eq!(authenticator.explain_absence(request(Peer::Unknown)), by_untrusted);
    }

    #[test]
    fn ambiguous_header_names_are_rejected() {
        let name = |text: &str| FieldName::parse(text).unwrap();
        let fields = vec![(Field::Email, name("X-User")), (Field::Name, name("X_User"))];
        assert_eq!(Layout::custom(fields, ',').unwrap_err(), BadLayout::AmbiguousNames);
    }
}
