//! What a stand-in provider does wrong, for tests.

use std::time::Duration;

use serde_json::{Map, Value};

/// What a provider does wrong; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    /// Members of the discovery document.
    pub discovery: Changes,
    /// Claims of ID tokens.
    pub id_token: Changes,
    /// Members of the JOSE header of ID tokens and logout tokens.
    pub header: Changes,
    /// How ID tokens and logout tokens are signed.
    pub signature: SignatureLie,
    /// Which keys are published.
    pub keys: PublishedKeys,
    /// A new key signs from the next token on, and is published with it.
    pub rotates_before_signing: bool,
    /// Members of user info responses.
    pub user_info: Changes,
    /// Members of token responses.
    pub token_response: Changes,
    /// Parameters of authorization responses.
    pub authorization_response: Changes,
    /// Claims of logout tokens.
    pub logout_token: Changes,
    /// A code is accepted again.
    pub accepts_codes_again: bool,
    /// A response in place of that of one path.
    pub response: Option<FixedResponse>,
    /// How long each response of one path is held back.
    pub delay: Option<(&'static str, Duration)>,
}

/// Members with other values; null removes one.
#[derive(Clone, Debug, Default)]
pub struct Changes(Vec<(String, Value)>);

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureLie {
    /// With the published key.
    #[default]
    None,
    /// Not at all, with `alg` none.
    Unsigned,
    /// With a key that is not published, under the `kid` of the published one.
    AnotherKey,
    /// With another algorithm of the published key.
    Rs512,
    /// With HS256 and the client's secret.
    ClientSecret,
    /// With HS256 and the public key, in PEM, as the secret.
    PublicKey,
    /// With the first byte of the signature changed.
    Damaged,
    /// With ES256 and a published key of it, which is no lie.
    Es256,
    /// The same, with the first byte of the signature changed.
    DamagedEs256,
}

/// Which keys are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishedKeys {
    /// The signing key.
    #[default]
    One,
    /// Another key for the same algorithm too.
    Several,
    /// A key for ES256 too.
    WithEs256,
}

/// A response that does not depend on the request.
#[derive(Clone, Debug)]
pub struct FixedResponse {
    /// The path, such as `/token`.
    pub path: &'static str,
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Changes {
    /// Changes of these members.
    pub fn of(changes: &[(&str, Value)]) -> Self {
        Self(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    /// Applies them.
    pub fn apply(&self, members: &mut Map<String, Value>) {
        for (name, value) in &self.0 {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
    }
}
