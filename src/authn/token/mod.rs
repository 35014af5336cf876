//! Authentication by a signed token: where it is, which keys verify it, by which
//! rules, how its claims map to a user, and what its vendor does differently.

pub mod key_settings;
mod location;
pub(crate) mod mapping;
pub mod settings;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use location::TokenLocation;
pub use mapping::{ClaimExpression, UserMapping};

use super::authentication::{AuthRequest, Authentication, Needs};
use super::aws_alb::AwsAlb;
use super::caf;
use super::commercetools::Commercetools;
use crate::clock::Timestamp;
use crate::jwt::compact::{Compact, NotCompact};
use crate::jwt::jwks::{KeySource, NotVerified};
use crate::jwt::verify::{Validation, Verified, VerifyError};
use crate::refusal::{Reason, Refusal};
use crate::user::{Credentials, User};

/// Authenticates by a signed token.
#[derive(Debug)]
pub struct TokenAuthenticator {
    /// The name of the kind, as the configuration writes it.
    pub kind: &'static str,
    /// Where in a request the token is.
    pub location: TokenLocation,
    /// The keys that verify tokens; never empty. There are several if the vendor selects the issuer
    /// by the request.
    pub keys: Vec<IssuerKeys>,
    /// The rules.
    pub validation: Validation,
    /// How claims map to the user.
    pub mapping: UserMapping,
    /// An expression for `sub` that is never empty.
    pub subject_example: &'static str,
    /// What its vendor does differently.
    pub vendor: Vendor,
}

/// The keys of an issuer.
#[derive(Debug)]
pub struct IssuerKeys {
    /// The issuer by which the vendor selects them; empty if there is only one.
    pub issuer: String,
    /// Where they come from.
    pub source: KeySource,
}

/// What a vendor does differently.
#[derive(Debug)]
pub enum Vendor {
    /// Nothing: one issuer, whose tokens are JWTs.
    Standard,
    /// Another serialization, and claims in the JOSE header.
    AwsAlb(AwsAlb),
    /// Another issuer and audience for each request.
    Commercetools(Commercetools),
    /// The user's id is in one of two claims, and a third claim says whether the user is
    /// authorized.
    Caf,
}

/// Why a token does not authenticate a user.
#[derive(Debug)]
pub(super) enum NotAuthenticated {
    Refused(Refusal),
    Needs(Needs),
}

impl IssuerKeys {
    /// The keys of the only issuer.
    pub fn only(source: KeySource) -> Vec<Self> {
        vec![Self { issuer: String::new(), source }]
    }
}

impl TokenAuthenticator {
    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let user = match self.location.find(request.headers) {
            Ok(Some(token)) => self.verify(token, request, now),
            Ok(None) => return Authentication::NoCredentials,
            Err(refusal) => Err(NotAuthenticated::Refused(refusal)),
        };
        match user {
            Ok(user) => Authentication::User(Box::new(user)),
            Err(NotAuthenticated::Refused(refusal)) => Authentication::Rejected(refusal),
            Err(NotAuthenticated::Needs(needs)) => Authentication::Needs(needs),
        }
    }

    /// Whether users can have this field.
    pub fn can_yield(&self, name: &str) -> bool {
        match self.vendor {
            Vendor::Standard | Vendor::AwsAlb(_) => self.mapping.can_yield(name),
            Vendor::Commercetools(_) => Commercetools::can_yield(name),
            // the id is not part of the mapping
            Vendor::Caf => name == "id" || self.mapping.can_yield(name),
        }
    }

    /// The header fields of a request with this token, as far as they can be derived from it. The
    /// claims need not be verified.
    pub fn headers_for(&self, token: &str, claims: &Map<String, Value>) -> Vec<(String, String)> {
        let mut fields = vec![match &self.location {
            TokenLocation::Header { name, scheme: Some(scheme) } => {
                (name.clone(), format!("{scheme} {token}"))
            }
            TokenLocation::Header { name, scheme: None } => (name.clone(), token.to_owned()),
            TokenLocation::Cookie(name) => ("cookie".to_owned(), format!("{name}={token}")),
        }];
        if let Vendor::Commercetools(gateways) = &self.vendor {
            fields.extend(gateways.forwarding_headers(claims.get("iss").and_then(Value::as_str)));
        }
        fields
    }

    fn verify(
        &self,
        token: &str,
        request: AuthRequest<'_>,
        now: Timestamp,
    ) -> Result<User, NotAuthenticated> {
        let (token, validation, issuer) = match &self.vendor {
            Vendor::Standard | Vendor::Caf => (Compact::parse(token)?, Cow::Borrowed(&self.validation), None),
            Vendor::AwsAlb(balancers) => {
                let token = AwsAlb::parse(token)?;
                let keys = balancers.signer(&token)?;
                (token, Cow::Borrowed(&self.validation), Some(keys))
            }
            Vendor::Commercetools(gateways) => {
                let gateway = gateways.gateway(request.headers)?;
                let validation = gateways.validation(&self.validation, gateway, request.path);
                (Compact::parse(token)?, Cow::Owned(validation), Some(gateway.issuer.as_str()))
            }
        };
        let keys = self.keys.iter().find(|keys| issuer.is_none_or(|issuer| keys.issuer == issuer));
        let keys = keys.ok_or(VerifyError::UnknownKey)?;
        let Verified { header, claims } = keys.source.verify(token, &validation, request.received, now)?;
        let text = |member: Option<&Value>| member.and_then(Value::as_str).map(str::to_owned);
        let (issuer_claim, key_id) = (text(claims.get("iss")), text(header.get("kid")));
        let credentials = Credentials { issuer: issuer_claim, key_id, ..Credentials::default() };
        let user = match &self.vendor {
            Vendor::Standard | Vendor::AwsAlb(_) => self.mapping.user(claims)?,
            Vendor::Commercetools(gateways) => gateways.user(issuer.unwrap_or_default(), claims)?,
            Vendor::Caf => caf::user(&self.mapping, claims)?,
        };
        Ok(User { credentials, ..user })
    }
}

impl From<Refusal> for NotAuthenticated {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<VerifyError> for NotAuthenticated {
    fn from(why: VerifyError) -> Self {
        Self::Refused(why.into())
    }
}

impl From<NotCompact> for NotAuthenticated {
    fn from(why: NotCompact) -> Self {
        VerifyError::from(why).into()
    }
}

impl From<NotVerified> for NotAuthenticated {
    fn from(why: NotVerified) -> Self {
        match why {
            NotVerified::Rejected(why) => Self::Refused(why.into()),
            NotVerified::Needs(keys) => Self::Needs(Needs::Keys(keys)),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(why: VerifyError) -> Self {
        let reason = match why {
            VerifyError::Expired => Reason::ExpiredToken,
            VerifyError::NotAUser(_) => Reason::NotAllowed,
            VerifyError::NotCompact(_)
            | VerifyError::WrongAlgorithm
            | VerifyError::Critical
            | VerifyError::WrongType
            | VerifyError::BadKeyId
            | VerifyError::UnknownKey
            | VerifyError::KeyAlgorithmMismatch
            | VerifyError::AmbiguousKey
            | VerifyError::NoMatchingKey
            | VerifyError::WrongSignature
            | VerifyError::WrongClaim(_) => Reason::InvalidToken,
        };
        reason.because(format!("the token is rejected: {why}"))
    }
}
