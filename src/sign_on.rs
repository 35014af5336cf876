//! The one use case: who is it, may they go, where to, and what is recorded.
//! No HTTP in it, and no clock: the time and the token's id are arguments.

use uuid::Uuid;

use crate::access::Access;
use crate::audit::SubjectLog;
use crate::authn::Authenticator;
use crate::authn::{AuthRequest, Authentication};
use crate::clock::Timestamp;
use crate::embed::{Embed, EmbedDecision, FetchDestination};
use crate::pandium::{Environment, HandOff, HandOffError, Link, Marketplace};
use crate::refusal::{Reason, Refusal};
use crate::user::User;

/// A path at which browsers arrive, and everything that decides what becomes
/// of them there.
#[derive(Debug)]
pub struct Entrance {
    /// The name, in the log, in metrics and on the command line.
    pub name: String,
    /// The path, exactly.
    pub path: String,
    /// The one way to learn who is asking.
    pub identity: Authenticator,
    /// Who may go.
    pub access: Access,
    /// Where an answer may be shown.
    pub embed: Embed,
    /// Where users go.
    pub marketplace: Marketplace,
    /// Which of Pandium's environments that is.
    pub environment: Environment,
    /// What the marketplace learns of the page before (`Referrer-Policy`).
    pub referrer_policy: ReferrerPolicy,
    /// How the record names users.
    pub subject_log: SubjectLog,
}

/// A `Referrer-Policy` that keeps path and query to ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrerPolicy {
    /// Nothing.
    NoReferrer,
    /// The origin.
    Origin,
    /// The origin, never from https to http.
    StrictOrigin,
    /// The origin, to the same site only.
    SameOrigin,
}

/// What is asked of an entrance.
#[derive(Debug)]
pub struct SignOnRequest<'a> {
    /// What proves who is asking.
    pub offer: AuthRequest<'a>,
    /// The query as it came, without the `?`.
    pub query: &'a str,
    /// The integration whose install page the path names, as it came.
    pub install: Option<&'a str>,
}

/// What becomes of it.
#[derive(Debug)]
pub struct SignOn {
    /// The signed address, or why there is none.
    pub outcome: Result<HandOff, Refusal>,
    /// Where the answer will be shown.
    pub fetch_dest: FetchDestination,
    /// The objection to a frame that is served all the same.
    pub reported: Option<Refusal>,
    /// Who it is, as far as the record may say.
    pub subject: Option<String>,
}

/// What is worth recording, however it ends.
#[derive(Default)]
struct Seen {
    reported: Option<Refusal>,
    subject: Option<String>,
}

impl ReferrerPolicy {
    /// Every policy that may be chosen.
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

    /// Signs a user on, or says why not. The link and the frame are judged
    /// before anybody's identity is looked at.
    pub fn sign_on(&self, ask: &SignOnRequest<'_>, jti: Uuid, now: Timestamp) -> SignOn {
        let mut seen = Seen::default();
        let outcome = self.decide(ask, jti, now, &mut seen);
        let fetch_dest = FetchDestination::of(ask.offer.headers);
        SignOn { outcome, fetch_dest, reported: seen.reported, subject: seen.subject }
    }

    fn decide(
        &self,
        ask: &SignOnRequest<'_>,
        jti: Uuid,
        now: Timestamp,
        seen: &mut Seen,
    ) -> Result<HandOff, Refusal> {
        let link = self.marketplace.links().parse(ask.query, ask.install)?;
        match self.embed.check_embedding(ask.offer.headers) {
            EmbedDecision::Allowed => {}
            EmbedDecision::Reported(objection) => seen.reported = Some(objection),
            EmbedDecision::Refused(refusal) => return Err(refusal),
        }
        let user = self.arrive(ask.offer, now)?;
        let outcome = self.access.allow(&user).and_then(|()| self.hand_off(&user, &link, jti, now));
        // the same user has the same name in the record, sent on or refused
        seen.subject = match &outcome {
            Ok(hand_off) => self.subject_log.write(&hand_off.subject),
            Err(_) => self.subject(&user),
        };
        outcome
    }

    /// Who somebody is and may be, without sending anybody anywhere; and the
    /// name that the record has for him.
    pub fn identify(
        &self,
        offer: AuthRequest<'_>,
        now: Timestamp,
    ) -> (Result<Box<User>, Refusal>, Option<String>) {
        match self.arrive(offer, now) {
            Ok(user) => {
                let subject = self.subject(&user);
                (self.access.allow(&user).map(|()| user), subject)
            }
            Err(refusal) => (Err(refusal), None),
        }
    }

    fn arrive(&self, offer: AuthRequest<'_>, now: Timestamp) -> Result<Box<User>, Refusal> {
        match self.identity.arrive(offer, now) {
            Authentication::User(user) => Ok(user),
            Authentication::NoCredentials => {
                let hint = self.identity.explain_absence(offer);
                Err(match hint {
                    Some(hint) => Reason::Unauthenticated.because(hint),
                    None => Reason::Unauthenticated.because("the request names nobody"),
                })
            }
            Authentication::Rejected(refusal) => Err(refusal),
        }
    }

    fn subject(&self, user: &User) -> Option<String> {
        self.subject_log.write(&self.marketplace.subject(user)?)
    }

    /// Signs a known user on at a place in the marketplace.
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
