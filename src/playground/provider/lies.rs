//! Wrong behaviour of the stand-in provider, for tests.

use std::time::Duration;

use serde_json::{Map, Value};

/// The wrong behaviour of a provider; none by default.
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
    /// The next token is signed with a new key, which is published at the same time.
    pub rotates_before_signing: bool,
    /// Members of user info responses.
    pub user_info: Changes,
    /// Members of token responses.
    pub token_response: Changes,
    /// Parameters of authorization responses.
    pub authorization_response: Changes,
    /// Claims of logout tokens.
    pub logout_token: Changes,
    /// A code is accepted more than once.
    pub accepts_codes_again: bool,
    /// A fixed response for one path.
    pub response: Option<FixedResponse>,
    /// The delay of each response for one path.
    pub delay: Option<(&'static str, Duration)>,
}

/// Members that are replaced; the value null removes one.
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
    /// With ES256 and the published key for it, which is correct.
    Es256,
    /// With ES256, and the first byte of the signature changed.
    DamagedEs256,
}

/// Which keys are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishedKeys {
    /// The signing key.
    #[default]
    One,
    /// The signing key, and another one for the same algorithm.
    Several,
    /// The signing key, and one for ES256.
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
    /// Changes these members.
    pub fn of(changes: &[(&str, Value)]) -> Self {
        Self(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    /// Applies the changes.
    pub fn apply(&self, members: &mut Map<String, Value>) {
        for (name, value) in &self.0 {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
    }
}
