//! Who somebody is, for proxies that ask before they let a request pass to an
//! API: nginx `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`,
//! Envoy `ext_authz`. Nothing is signed here, and nobody is sent anywhere.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::refused::Refused;
use super::{Doorway, KeysFirst, Visit};
use crate::arrival::Headers;
use crate::clock::Moment;
use crate::embed::Placement;
use crate::identity::token::Place;
use crate::record::{Entry, Outcome};
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;
use crate::user::{Email, Identifier, Label, User};

/// Who it is, in JSON.
#[derive(Serialize)]
struct Verified<'a> {
    entrance: &'a str,
    user: &'a User,
}

const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");

impl Visit<'_> {
    /// `/v1/verify/NAME`, by any method, and with any path behind it: some
    /// proxies pass on those of the request they ask about.
    pub(super) fn verify(&self, doorway: &Doorway, path: Option<&str>) -> Result<HttpResponse, KeysFirst> {
        let now = Moment::now();
        let headers = self.headers();
        let entrance = &doorway.entrance;
        let (known, subject) = match self.object_to_cookie(entrance, &headers) {
            Some(objection) => (Err(objection), None),
            None => entrance.identify(self.offer(path, &headers), now),
        };
        self.keys_first(known.as_ref().err())?;
        let user = match known.and_then(named) {
            Ok(user) => user,
            Err(refusal) => {
                return Ok(self.refuse(Refused { subject, ..Refused::for_api(doorway, &refusal) }));
            }
        };
        self.record(&Entry {
            at: now,
            request_id: self.request_id,
            entrance: Some(&entrance.name),
            environment: Some(entrance.environment),
            outcome: Outcome::Verified,
            subject,
            peer: self.peer(),
            placement: Placement::Unknown,
            reported: None,
            took_us: self.took_us(),
        });
        self.shared.metrics.count_request(&entrance.name, 200);
        let mut answer = HttpResponse::Ok();
        self.dress(&mut answer);
        let id = user.id.as_ref().map(Identifier::as_str);
        let email = user.email.as_ref().map(Email::as_str);
        let groups = groups(&user.groups);
        for (name, value) in [(USER, id), (EMAIL, email), (GROUPS, groups.as_deref())] {
            // what was parsed has nothing invisible in it; UTF-8 is sent as it is
            let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
            if let Some(value) = value {
                answer.insert_header((name, value));
            }
        }
        Ok(answer.json(Verified { entrance: &entrance.name, user: &user }))
    }

    /// A cookie comes by itself, whichever page had the browser ask.
    fn object_to_cookie(&self, entrance: &Entrance, headers: &Headers<'_>) -> Option<Refusal> {
        let is_cookie = matches!(entrance.identity.place(), Some(Place::Cookie(_)));
        let says = |name: &str| headers.all(name).next();
        let comes_from_elsewhere = says("sec-fetch-site") == Some(b"cross-site");
        let origin = says("origin").and_then(|origin| std::str::from_utf8(origin).ok());
        let is_allowed = origin.is_some_and(|origin| entrance.embed.allows_script(origin));
        (is_cookie && comes_from_elsewhere && !is_allowed)
            .then(|| Reason::FrameNotAllowed.because("another site's page had the browser send its cookie"))
    }
}

/// A user who can be told from others; an API is never told of somebody else.
fn named(user: Box<User>) -> Result<Box<User>, Refusal> {
    match (&user.id, &user.email, &user.username) {
        (None, None, None) => {
            Err(Reason::NoIdentity.because("the token names nobody: neither id, e-mail nor user name"))
        }
        _ => Ok(user),
    }
}

/// The groups, with commas between them. One that has a comma in it would read
/// as two, so it stands in the JSON alone.
fn groups(groups: &[Label]) -> Option<String> {
    let plain: Vec<&str> = groups.iter().map(Label::as_str).filter(|group| !group.contains(',')).collect();
    (!plain.is_empty()).then(|| plain.join(","))
}
