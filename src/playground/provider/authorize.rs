//! The stand-in provider's authorization endpoint: which requests it accepts, and the response
//! after the user's choice.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::Provider;
use crate::clock::Timestamp;
use crate::playground::people::{Person, provider_users};

/// The user and the request for which a code or a token was issued.
#[derive(Clone)]
pub(super) struct Grant {
    pub person: &'static Person,
    pub scopes: String,
    pub nonce: Option<String>,
    pub code_challenge: String,
    /// The session at the provider.
    pub sid: String,
    pub authenticated_at: u64,
}

/// What the user chose on the login page.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// To sign in as this user.
    SignIn(&'a str),
    /// To deny the request.
    Deny,
}

impl Provider {
    /// The URL to which the browser is redirected after an authorization request; for tests without
    /// a browser.
    pub fn sign_in(&self, request: &str, person: &str) -> anyhow::Result<String> {
        let url = Url::parse(request)?;
        self.authorize(url.query().unwrap_or_default(), Choice::SignIn(person))
    }

    /// Like [`Self::sign_in`], for a user who denies the request.
    pub fn deny(&self, request: &str) -> anyhow::Result<String> {
        self.authorize(Url::parse(request)?.query().unwrap_or_default(), Choice::Deny)
    }

    /// Why an authorization request is rejected, if it is.
    pub(super) fn check_request(&self, query: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let parameters: BTreeMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is = |name: &str, value: &str| parameters.get(name).is_some_and(|own| own == value);
        ensure!(is("client_id", &self.client.client_id), "the client_id is unknown");
        ensure!(is("redirect_uri", &self.client.redirect_uri), "the redirect_uri is not registered");
        ensure!(is("response_type", "code"), "the response_type is not code");
        ensure!(is("code_challenge_method", "S256"), "the code_challenge_method is not S256");
        ensure!(parameters.contains_key("code_challenge"), "there is no code_challenge");
        ensure!(parameters.get("state").is_some_and(|state| state.len() >= 43), "the state is short");
        Ok(parameters)
    }

    /// The URL to which the browser is redirected.
    pub(super) fn authorize(&self, query: &str, choice: Choice<'_>) -> anyhow::Result<String> {
        let parameters = self.check_request(query)?;
        let text = |name: &str| parameters.get(name).cloned();
        let mut state = self.state();
        let mut response = Map::new();
        response.insert("state".to_owned(), json!(text("state")));
        response.insert("iss".to_owned(), json!(self.origin));
        match choice {
            Choice::Deny => {
                response.insert("error".to_owned(), json!("access_denied"));
            }
            Choice::SignIn(person) => {
                let code = Uuid::new_v4().simple().to_string();
                let grant = Grant {
                    person: provider_users()
                        .find(|user| user.id == person)
                        .context("there is no such user")?,
                    scopes: text("scope").unwrap_or_default(),
                    nonce: text("nonce"),
                    code_challenge: text("code_challenge").unwrap_or_default(),
                    sid: Uuid::new_v4().to_string(),
                    authenticated_at: Timestamp::now().unix_seconds(),
                };
                state.codes.insert(code.clone(), grant);
                response.insert("code".to_owned(), json!(code));
            }
        }
        state.lies.authorization_response.apply(&mut response);
        let mut url = Url::parse(&self.client.redirect_uri)?;
        for (name, value) in &response {
            if let Value::String(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url.into())
    }
}
