//! Who somebody is, for proxies that ask before they let a request pass to an
//! API: nginx `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`,
//! Envoy `ext_authz`. Nothing is signed here, and nobody is sent anywhere.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::refused::Refused;
use super::{EntranceRuntime, KeysFirst, RequestContext};
use crate::audit::{AuditEvent, Outcome};
use crate::authn::token::TokenLocation;
use crate::clock::Timestamp;
use crate::embed::{FetchDestination, FetchMetadata};
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
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

impl RequestContext<'_> {
    /// `/v1/verify/NAME`, by any method, and with any path behind it: some
    /// proxies pass on those of the request they ask about.
    pub(super) fn verify(
        &self,
        runtime: &EntranceRuntime,
        path: Option<&str>,
    ) -> Result<HttpResponse, KeysFirst> {
        let now = Timestamp::now();
        let headers = self.headers();
        let entrance = &runtime.entrance;
        let (known, subject) = match self.object_to_cookie(entrance, &headers) {
            Some(objection) => (Err(objection), None),
            None => entrance.identify(self.offer(path, &headers), now),
        };
        self.keys_first(known.as_ref().err())?;
        let user = match known.and_then(named) {
            Ok(user) => user,
            Err(refusal) => {
                return Ok(self.refuse(Refused { subject, ..Refused::for_api(runtime, &refusal) }));
            }
        };
        self.record(&AuditEvent {
            at: now,
            request_id: self.request_id,
            entrance: Some(&entrance.name),
            environment: Some(entrance.environment),
            outcome: Outcome::Verified,
            subject,
            peer: self.peer(),
            fetch_dest: FetchDestination::Unknown,
            embed_violation: None,
            took_us: self.took_us(),
        });
        self.shared.metrics.count_request(&entrance.name, 200);
        let mut answer = HttpResponse::Ok();
        self.common_headers(&mut answer);
        let id = user.id.as_ref().map(Identifier::as_str).filter(|id| is_one_word(id));
        let email = user.email.as_ref().map(Email::as_str).filter(|email| is_one_word(email));
        let groups = groups(&user.groups);
        for (name, value) in [(USER, id), (EMAIL, email), (GROUPS, groups.as_deref())] {
            // what was parsed has nothing invisible in it; UTF-8 is sent as it is
            let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
            if let Some(value) = value {
                answer.insert_header((name, value));
            }
        }
        Self::protect_json(&mut answer);
        Ok(answer.json(Verified { entrance: &entrance.name, user: &user }))
    }

    /// A browser sends a cookie whichever page makes it send the request. So an
    /// `Origin` has to be an allowed page's or the service's own, and a request
    /// from another site needs one.
    fn object_to_cookie(&self, entrance: &Entrance, headers: &Headers<'_>) -> Option<Refusal> {
        if !matches!(entrance.identity.place(), Some(TokenLocation::Cookie(_))) {
            return None;
        }
        let refuse = |cause: &'static str| Some(Reason::CrossSiteRequest.because(cause));
        let metadata = match FetchMetadata::read(headers) {
            Ok(metadata) => metadata,
            Err(why) => return refuse(why.cause()),
        };
        let Ok(origin) = headers.only("origin") else { return refuse("Origin came twice") };
        let is_from_other_site = metadata.site == Some(b"cross-site".as_slice());
        let is_foreign = match origin.map(|origin| std::str::from_utf8(origin).unwrap_or_default()) {
            Some(origin) if entrance.embed.allows_script(origin) => false,
            Some(origin) => is_from_other_site || !self.is_own(origin),
            None => is_from_other_site,
        };
        if is_foreign { refuse("a page of another origin made the browser send its cookie") } else { None }
    }

    /// Whether an origin is on one of the service's configured hosts.
    fn is_own(&self, origin: &str) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| self.shared.snapshot().hosts.is_configured(authority))
    }
}

/// A user who can be told from others; an API is never told of somebody else.
fn named(user: Box<User>) -> Result<Box<User>, Refusal> {
    match (&user.id, &user.email, &user.username) {
        (None, None, None) => {
            Err(Reason::Unauthenticated.because("the token names nobody: neither id, e-mail nor user name"))
        }
        _ => Ok(user),
    }
}

/// Whether a header's reader cannot take a value for several, or for a quoted
/// one. Other values are in the JSON alone.
fn is_one_word(value: &str) -> bool {
    !value.contains([',', ';', '"', ' '])
}

/// The groups, with commas between them. One that has a comma in it would read
/// as two, so it stands in the JSON alone.
fn groups(groups: &[Label]) -> Option<String> {
    let plain: Vec<&str> = groups.iter().map(Label::as_str).filter(|group| !group.contains(',')).collect();
    (!plain.is_empty()).then(|| plain.join(","))
}
