//! The use case: authenticate, authorize, hand off. No HTTP.
//!
//! Deciding is pure: time and the token's id are arguments. Where a decision
//! lacks something that can be fetched ([`Needs`]), it is fetched and the
//! decision is made again, in one place: `with_needs`.

use uuid::Uuid;

use crate::access::Access;
use crate::audit::{SubjectForms, SubjectNames};
use crate::authn::{AuthRequest, Authentication, Authenticator, Fetched, Needs};
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
    /// Which pages may embed the response, and which scripts may read it.
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
    /// Sends the origin, to the same origin only.
    SameOrigin,
}

/// A request to an entrance.
#[derive(Debug)]
pub struct SignOnRequest<'a> {
    /// What the user is authenticated by.
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
    /// What its audit event says, however it was decided.
    pub details: Box<EventDetails>,
}

/// An authenticated and authorized user, or the refusal.
#[derive(Debug)]
pub struct Identification {
    /// The user, or the refusal.
    pub outcome: Result<Box<User>, Refusal>,
    /// What its audit event says, however it was decided.
    pub details: Box<EventDetails>,
}

/// What an audit event says of a request, however it is decided.
#[derive(Clone, Debug, Default)]
pub struct EventDetails {
    /// What the response is for.
    pub fetch_dest: FetchDestination,
    /// What the embed policy objects to in a request that is served all the same.
    pub embed_violation: Option<Refusal>,
    /// The user, as audit events name users.
    pub subject: SubjectNames,
    /// What authenticated the user.
    pub credentials: Credentials,
    /// The name of the API token of the server that names the user, in place of credentials.
    pub api_token: Option<String>,
    /// The extension instance that a program or a verified webhook names.
    pub instance_id: Option<Uuid>,
    /// Where in the marketplace the user goes.
    pub link: Link,
}

/// A decision, and what may change it once that is fetched.
pub type Decision<T> = (T, Option<Needs>);

/// How often something is fetched for one request. A fetch that is in progress
/// may have begun before the request was received; then a second one follows.
const MAX_FETCHES: usize = 2;

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
    /// The path of the entrance that is always there.
    pub const MAIN_PATH: &'static str = "/pandium-sso";

    /// The name of the entrance that is always there.
    pub const MAIN_NAME: &'static str = "pandium-sso";

    /// Signs a user on. Waits for keys, where newer ones may change the decision.
    pub async fn sign_on(&self, request: &SignOnRequest<'_>, jti: Uuid, clock: fn() -> Timestamp) -> SignOn {
        with_needs(clock, |now, fetched| self.decide(request, jti, now, fetched)).await
    }

    /// Authenticates and authorizes a user without signing anything. Waits for
    /// keys, as [`Self::sign_on`] does.
    pub async fn identify(&self, request: AuthRequest<'_>, clock: fn() -> Timestamp) -> Identification {
        with_needs(clock, |now, fetched| self.decide_identity(AuthRequest { fetched, ..request }, now)).await
    }

    /// Authorizes a user whom a trusted server names, and signs, without authenticating anything.
    /// `details` has what the audit event says in addition.
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

    /// Decides a sign-on. Link and frame come first: they need no credentials.
    pub fn decide(
        &self,
        request: &SignOnRequest<'_>,
        jti: Uuid,
        now: Timestamp,
        fetched: Option<&Fetched>,
    ) -> Decision<SignOn> {
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
        // a user has the same name in audit events, handed off or refused
        details.subject = match &outcome {
            Ok(hand_off) => self.subject_forms.write(&hand_off.subject),
            Err(_) => self.subject(user),
        };
        outcome
    }

    fn decide_identity(&self, request: AuthRequest<'_>, now: Timestamp) -> Decision<Identification> {
        let mut details = Box::<EventDetails>::default();
        let mut needs = None;
        let outcome = self.authenticate(request, now, &mut needs).and_then(|mut user| {
            details.credentials = std::mem::take(&mut user.credentials);
            details.subject = self.subject(&user);
            self.access.allow(&user).map(|()| user)
        });
        (Identification { outcome, details }, needs)
    }

    /// The user of a request. What authentication lacks is put into `needs`.
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

    /// How audit events name a user.
    pub fn subject(&self, user: &User) -> SubjectNames {
        let subject = self.marketplace.subject(user);
        subject.map_or_else(SubjectNames::default, |subject| self.subject_forms.write(&subject))
    }

    /// Signs a token for a user, and makes the URL.
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

/// Makes a decision, and makes it again after what it lacks was fetched.
async fn with_needs<T>(
    clock: fn() -> Timestamp,
    decide: impl Fn(Timestamp, Option<&Fetched>) -> Decision<T>,
) -> T {
    let (mut decision, mut needs) = decide(clock(), None);
    for _ in 0..MAX_FETCHES {
        let Some(lacking) = needs else { break };
        let Some(fetched) = lacking.fetch(clock).await else { break };
        (decision, needs) = decide(clock(), Some(&fetched));
    }
    decision
}
