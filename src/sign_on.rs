//! The use case: authenticate, authorize, hand off. No HTTP.
//!
//! Deciding is pure: time and the token's id are arguments. If a decision lacks data that can be
//! fetched ([`Needs`]), [`with_needs`] fetches it and decides again.

use uuid::Uuid;

use crate::access::Access;
use crate::audit::{SubjectForms, SubjectNames};
use crate::authn::{AuthRequest, Authentication, Authenticator, Decision, Fetched, Needs, with_needs};
use crate::clock::Timestamp;
use crate::embed::{Embed, FetchDestination};
use crate::pandium::{Environment, HandOff, HandOffError, Link, Marketplace};
use crate::refusal::{Reason, Refusal};
use crate::user::{Credentials, User};

/// A path with exactly one authenticator, and the rules that apply there.
#[derive(Debug)]
pub struct Entrance {
    /// The name, in the log, in metrics and on the command line.
    pub name: String,
    /// The path, compared byte for byte.
    pub path: String,
    /// Authenticates the user.
    pub authenticator: Authenticator,
    /// Authorizes the user.
    pub access: Access,
    /// Which pages may frame the response, and which scripts may read it.
    pub embed: Embed,
    /// The destination and the claims of its tokens.
    pub marketplace: Marketplace,
    /// The destination's environment.
    pub environment: Environment,
    /// The `Referrer-Policy` of redirects.
    pub referrer_policy: ReferrerPolicy,
    /// How audit events name users.
    pub subject_forms: SubjectForms,
}

/// A `Referrer-Policy` that never sends path and query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrerPolicy {
    /// Sends nothing.
    NoReferrer,
    /// Sends the origin.
    Origin,
    /// Sends the origin, but not from https to http.
    StrictOrigin,
    /// Sends the origin, only to the same origin.
    SameOrigin,
}

/// A request to an entrance.
#[derive(Debug)]
pub struct SignOnRequest<'a> {
    /// The part of the request that authenticates the user.
    pub auth: AuthRequest<'a>,
    /// The query as received, without the `?`.
    pub query: &'a str,
    /// The integration id of `/install/<id>`, as received.
    pub install: Option<&'a str>,
}

/// The result of a sign-on.
#[derive(Debug)]
pub struct SignOn {
    /// The signed URL, or the refusal.
    pub outcome: Result<HandOff, Refusal>,
    /// The details for the audit event, whatever the outcome is.
    pub details: Box<EventDetails>,
}

/// An authenticated and authorized user, or the refusal.
#[derive(Debug)]
pub struct Identification {
    /// The user, or the refusal.
    pub outcome: Result<Box<User>, Refusal>,
    /// The details for the audit event, whatever the outcome is.
    pub details: Box<EventDetails>,
}

/// The details of a request for its audit event, whatever the outcome is.
#[derive(Clone, Debug, Default)]
pub struct EventDetails {
    /// What the response is for.
    pub fetch_dest: FetchDestination,
    /// Why the request violates the embed policy, if it is served nevertheless.
    pub embed_violation: Option<Refusal>,
    /// The subject, in the forms for log and store.
    pub subject: SubjectNames,
    /// The credentials that authenticated the user.
    pub credentials: Credentials,
    /// The name of the API token, if a server names the user in place of credentials.
    pub api_token: Option<String>,
    /// The extension instance that a program or a verified webhook names.
    pub instance_id: Option<Uuid>,
    /// The location in the marketplace.
    pub link: Link,
}

impl ReferrerPolicy {
    /// Every policy that can be configured.
    pub const ALL: [Self; 4] = [Self::NoReferrer, Self::Origin, Self::StrictOrigin, Self::SameOrigin];

    /// The header's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoReferrer => "no-referrer",
            Self::Origin => "origin",
            Self::StrictOrigin => "strict-origin",
            Self::SameOrigin => "same-origin",
        }
    }
}

impl Entrance {
    /// The path of the main entrance, which always exists.
    pub const MAIN_PATH: &'static str = "/pandium-sso";

    /// The name of the main entrance, which always exists.
    pub const MAIN_NAME: &'static str = "pandium-sso";

    /// Signs a user on. Waits for data that may change the decision, such as newer keys.
    pub async fn sign_on(&self, request: &SignOnRequest<'_>, jti: Uuid, clock: fn() -> Timestamp) -> SignOn {
        let decide = |now, fetched: Option<&_>| self.decide(request, jti, now, fetched);
        with_needs(request.auth.received, clock, decide, Needs::fetch).await
    }

    /// Authenticates and authorizes a user without signing anything. Waits for data, as
    /// [`Self::sign_on`] does.
    pub async fn identify(&self, request: AuthRequest<'_>, clock: fn() -> Timestamp) -> Identification {
        let decide = |now, fetched: Option<&_>| self.decide_identity(AuthRequest { fetched, ..request }, now);
        with_needs(request.received, clock, decide, Needs::fetch).await
    }

    /// Authorizes a user whom a trusted server names, and signs a token, without authentication.
    /// `details` has additional details for the audit event.
    pub fn hand_off_for(
        &self,
        user: &User,
        (query, install): (&str, Option<&str>),
        jti: Uuid,
        now: Timestamp,
        mut details: Box<EventDetails>,
    ) -> SignOn {
        let link = self.marketplace.links().parse(query, install);
        let outcome = link.and_then(|link| {
            details.link = link;
            self.authorize_and_sign(user, jti, now, &mut details)
        });
        SignOn { outcome, details }
    }

    /// Decides a sign-on. Link and embed policy are checked first, since they need no credentials.
    pub fn decide(
        &self,
        request: &SignOnRequest<'_>,
        jti: Uuid,
        now: Timestamp,
        fetched: Option<&Fetched>,
    ) -> Decision<SignOn, Needs> {
        let fetch_dest = FetchDestination::of(request.auth.headers);
        let mut details = Box::new(EventDetails { fetch_dest, ..EventDetails::default() });
        let mut needs = None;
        let outcome = self.decide_hand_off(request, (jti, now), fetched, &mut details, &mut needs);
        (SignOn { outcome, details }, needs)
    }

    fn decide_hand_off(
        &self,
        request: &SignOnRequest<'_>,
        (jti, now): (Uuid, Timestamp),
        fetched: Option<&Fetched>,
        details: &mut EventDetails,
        needs: &mut Option<Needs>,
    ) -> Result<HandOff, Refusal> {
        let query = self.authenticator.link_query(request.query);
        details.link = self.marketplace.links().parse(&query, request.install)?;
        details.embed_violation = self.embed.check_embedding(request.auth.headers)?;
        let mut user = self.authenticate(AuthRequest { fetched, ..request.auth }, now, needs)?;
        details.credentials = std::mem::take(&mut user.credentials);
        self.authorize_and_sign(&user, jti, now, details)
    }

    fn authorize_and_sign(
        &self,
        user: &User,
        jti: Uuid,
        now: Timestamp,
        details: &mut EventDetails,
    ) -> Result<HandOff, Refusal> {
        let outcome = self.access.allow(user).and_then(|()| self.hand_off(user, &details.link, jti, now));
        // a user has the same subject in audit events of hand-offs and of refusals
        details.subject = match &outcome {
            Ok(hand_off) => self.subject_forms.write(&hand_off.subject),
            Err(_) => self.subject(user),
        };
        outcome
    }

    fn decide_identity(&self, request: AuthRequest<'_>, now: Timestamp) -> Decision<Identification, Needs> {
        let mut details = Box::<EventDetails>::default();
        let mut needs = None;
        let outcome = self.authenticate(request, now, &mut needs).and_then(|mut user| {
            details.credentials = std::mem::take(&mut user.credentials);
            details.subject = self.subject(&user);
            self.access.allow(&user).map(|()| user)
        });
        (Identification { outcome, details }, needs)
    }

    /// Authenticates the user of a request. Data that is missing is added to `needs`.
    fn authenticate(
        &self,
        request: AuthRequest<'_>,
        now: Timestamp,
        needs: &mut Option<Needs>,
    ) -> Result<Box<User>, Refusal> {
        match self.authenticator.authenticate(request, now) {
            Authentication::User(user) => Ok(user),
            Authentication::NoCredentials => Err(match self.authenticator.explain_absence(request, now) {
                Some(cause) => Reason::Unauthenticated.because(cause),
                None => Reason::Unauthenticated.because("the request has no credentials"),
            }),
            Authentication::Rejected(refusal) => Err(refusal),
            Authentication::Needs(lacking) => {
                let refusal = lacking.refusal();
                *needs = Some(lacking);
                Err(refusal)
            }
        }
    }

    /// The subject of a user, in the forms for log and store.
    pub fn subject(&self, user: &User) -> SubjectNames {
        let subject = self.marketplace.subject(user);
        subject.map_or_else(SubjectNames::default, |subject| self.subject_forms.write(&subject))
    }

    /// Signs a token for a user, and creates the URL.
    pub fn hand_off(&self, user: &User, link: &Link, jti: Uuid, now: Timestamp) -> Result<HandOff, Refusal> {
        self.marketplace.hand_off(user, link, jti, now).map_err(|error| {
            let reason = match &error {
                HandOffError::NoSubject => Reason::Unauthenticated,
                HandOffError::Claims(error) if error.is_bad_identity => Reason::BadIdentity,
                HandOffError::TooLong { .. } => Reason::TokenTooLarge,
                HandOffError::Claims(_) | HandOffError::Signing(_) => Reason::Internal,
            };
            reason.because(error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::request::{Headers, Peer};

    const CONFIG: &str = r#"
        environment = "sandbox"
        [pandium]
        account = "acme"
        shared_secret = "0123456789abcdef0123456789abcdef"
        [identity]
        preset = "auth_request"
        trusted_proxies = ["127.0.0.1/32"]
    "#;

    /// The largest block of malloc's cache for each thread (glibc, `tcache`).
    const CACHED_BLOCK_BYTES: usize = 1_032;

    #[test]
    fn the_future_of_a_sign_on_fits_into_a_cached_block() {
        let config = Config::from_toml(CONFIG).unwrap();
        let headers = Headers::default();
        let auth = AuthRequest {
            peer: Peer::from_ip([127, 0, 0, 1].into()),
            path: None,
            headers: &headers,
            query: "",
            received: Timestamp::now(),
            fetched: None,
        };
        let request = SignOnRequest { auth, query: "", install: None };
        let sign_on = config.entrances[0].sign_on(&request, Uuid::nil(), Timestamp::now);
        assert!(size_of_val(&sign_on) <= CACHED_BLOCK_BYTES, "{} bytes", size_of_val(&sign_on));
    }
}
