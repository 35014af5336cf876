//! The user of a request, for proxies that authorize requests to an API: nginx
//! `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`, Envoy
//! `ext_authz`. Nothing is signed here.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::refused::Refused;
use super::{EntranceRuntime, RequestContext};
use crate::audit::{AuditEvent, Outcome};
use crate::authn::token::TokenLocation;
use crate::clock::Timestamp;
use crate::embed::{FetchDestination, FetchMetadata};
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::sign_on::{Entrance, Identification};
use crate::user::{Email, Identifier, Label, User};

/// The user as JSON.
#[derive(Serialize)]
struct Verified<'a> {
    entrance: &'a str,
    user: &'a User,
}

const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");

impl RequestContext<'_> {
    /// Handles `/v1/verify/NAME` with any method, and with any path behind the
    /// name: some proxies pass on those of the request that they authorize.
    pub(super) async fn verify(&self, runtime: &EntranceRuntime, path: Option<&str>) -> HttpResponse {
        let headers = self.headers();
        let entrance = &runtime.entrance;
        let Identification { outcome, subject } = match self.check_cookie_origin(entrance, &headers) {
            Ok(()) => entrance.identify(self.auth_request(path, &headers), Timestamp::now).await,
            Err(refusal) => Identification { outcome: Err(refusal), subject: None },
        };
        let user = match outcome.and_then(with_name) {
            Ok(user) => user,
            Err(refusal) => return self.refuse(Refused { subject, ..Refused::for_api(runtime, &refusal) }),
        };
        self.record(&AuditEvent {
            at: Timestamp::now(),
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
        let mut response = HttpResponse::Ok();
        self.common_headers(&mut response);
        let id = user.id.as_ref().map(Identifier::as_str).filter(|id| is_one_word(id));
        let email = user.email.as_ref().map(Email::as_str).filter(|email| is_one_word(email));
        let groups = groups(&user.groups);
        for (name, value) in [(USER, id), (EMAIL, email), (GROUPS, groups.as_deref())] {
            // parsed values hold no control characters; UTF-8 is sent as it is
            let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
            if let Some(value) = value {
                response.insert_header((name, value));
            }
        }
        Self::protect_json(&mut response);
        response.json(Verified { entrance: &entrance.name, user: &user })
    }

    /// Refuses a cookie that a page of another origin made the browser send: an
    /// `Origin` has to be an allowed page's, or the API's own by Fetch Metadata;
    /// without Fetch Metadata, one on the service's hosts. A request from another
    /// site needs an `Origin`.
    fn check_cookie_origin(&self, entrance: &Entrance, headers: &Headers<'_>) -> Result<(), Refusal> {
        if !matches!(entrance.authenticator.token_location(), Some(TokenLocation::Cookie(_))) {
            return Ok(());
        }
        let refuse = |cause: &'static str| Err(Reason::CrossSiteRequest.because(cause));
        let metadata = match FetchMetadata::read(headers) {
            Ok(metadata) => metadata,
            Err(why) => return refuse(why.cause()),
        };
        let Ok(origin) = headers.only("origin") else { return refuse("Origin came twice") };
        let origin = origin.map(|origin| std::str::from_utf8(origin).unwrap_or_default());
        let is_foreign = match (origin, metadata.site) {
            (Some(origin), _) if entrance.embed.allows_script(origin) => false,
            (_, Some(b"same-origin")) => false,
            (Some(origin), None) => !self.is_own(origin),
            (Some(_), Some(_)) | (None, Some(b"cross-site")) => true,
            (None, Some(_) | None) => false,
        };
        if is_foreign { refuse("a page of another origin made the browser send its cookie") } else { Ok(()) }
    }

    /// Whether an origin is on one of the service's configured hosts.
    fn is_own(&self, origin: &str) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| self.snapshot.hosts.is_configured(authority))
    }
}

/// Refuses a user without an id, an e-mail address and a user name: an API could
/// not tell such users apart.
fn with_name(user: Box<User>) -> Result<Box<User>, Refusal> {
    match (&user.id, &user.email, &user.username) {
        (None, None, None) => {
            Err(Reason::Unauthenticated.because("the token has neither id, e-mail address nor user name"))
        }
        _ => Ok(user),
    }
}

/// Whether a value holds no delimiter by which a reader of the header field could
/// take it for several. Other values are in the JSON only.
fn is_one_word(value: &str) -> bool {
    !value.contains([',', ';', '"', ' '])
}

/// The groups, separated by commas. A group with a comma is in the JSON only.
fn groups(groups: &[Label]) -> Option<String> {
    let plain: Vec<&str> = groups.iter().map(Label::as_str).filter(|group| !group.contains(',')).collect();
    (!plain.is_empty()).then(|| plain.join(","))
}
