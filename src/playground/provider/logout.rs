//! The stand-in provider's logout: the tokens that it sends to the client (Back-Channel
//! Logout 1.0).

use anyhow::Context;
use serde_json::{Map, json};
use uuid::Uuid;

use super::Provider;
use crate::clock::Timestamp;

impl Provider {
    /// A logout token for a user, a session, or both.
    pub fn logout_token(&self, person: Option<&str>, sid: Option<&str>) -> anyhow::Result<String> {
        let now = Timestamp::now().unix_seconds();
        let mut claims = Map::new();
        let all = [
            ("iss", json!(self.origin)),
            ("aud", json!(self.client.client_id)),
            ("iat", json!(now)),
            ("exp", json!(now + 120)),
            ("jti", json!(Uuid::new_v4())),
            ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        ];
        claims.extend(all.map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in [("sub", person), ("sid", sid)] {
            if let Some(value) = value {
                claims.insert(name.to_owned(), json!(value));
            }
        }
        let state = self.state();
        state.lies.logout_token.apply(&mut claims);
        state.keys.sign("logout+jwt", &claims, self.client.authentication.secret(), &state.lies)
    }

    /// Ends a user's sessions, and returns their `sid`s.
    pub fn end_sessions(&self, person: &str) -> Vec<String> {
        let mut state = self.state();
        let of_person = |grant: &super::Grant| grant.person.id == person;
        let mut sids: Vec<String> = state
            .access_tokens
            .values()
            .filter(|grant| of_person(grant))
            .map(|grant| grant.sid.clone())
            .collect();
        state.access_tokens.retain(|_, grant| !of_person(grant));
        state.refresh_tokens.retain(|_, grant| !of_person(grant));
        sids.sort_unstable();
        sids.dedup();
        sids
    }

    /// Sends a logout token to the client, and returns the status of the response.
    pub async fn send_logout_token(&self, token: &str) -> anyhow::Result<u16> {
        let uri = self.client.backchannel_logout_uri.as_deref();
        let uri = uri.context("the client has no backchannel_logout_uri")?;
        let body = format!("logout_token={token}");
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.post(uri).header("Content-Type", "application/x-www-form-urlencoded").body(body);
        Ok(request.send().await?.status().as_u16())
    }
}
