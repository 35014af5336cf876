//! The sample app's login sessions, in memory, by the id in a cookie. They are
//! not visible to the service.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};

use super::people::Person;
use super::setup::random_secret;
use super::tier::Tier;

/// The sessions of the sample app.
#[derive(Default)]
pub struct Sessions {
    by_id: Mutex<HashMap<String, SignedIn>>,
}

/// The user of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub person: &'static Person,
    /// The plan of the user's company, which the page can change.
    pub plan: Tier,
}

impl SignedIn {
    /// The header fields that identify the user to the service.
    pub fn identity_headers(self) -> Vec<(&'static str, String)> {
        self.person.identity_headers(self.plan)
    }
}

impl Sessions {
    /// Creates a session and returns its cookie.
    pub fn begin(&self, person: &'static Person) -> Cookie<'static> {
        let id = random_secret();
        let mut sessions = self.lock();
        // anyone can create sessions, so their number is bounded
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
        }
        sessions.insert(id.clone(), SignedIn { person, plan: person.plan });
        // not `Secure`: the playground uses plain HTTP
        Cookie::build(COOKIE, id).path("/").http_only(true).same_site(SameSite::Lax).finish()
    }

    /// The user of the request's session.
    pub fn user(&self, request: &HttpRequest) -> Option<SignedIn> {
        let cookie = request.cookie(COOKIE)?;
        self.lock().get(cookie.value()).copied()
    }

    /// Changes the plan of the request's session; returns whether there is one.
    pub fn change_plan(&self, request: &HttpRequest, plan: Tier) -> bool {
        let Some(cookie) = request.cookie(COOKIE) else { return false };
        self.lock().get_mut(cookie.value()).map(|user| user.plan = plan).is_some()
    }

    /// Deletes the request's session and returns the cookie that removes its cookie.
    pub fn end(&self, request: &HttpRequest) -> Cookie<'static> {
        if let Some(cookie) = request.cookie(COOKIE) {
            self.lock().remove(cookie.value());
        }
        let mut removal =
            Cookie::build(COOKIE, "").path("/").http_only(true).same_site(SameSite::Lax).finish();
        removal.make_removal();
        removal
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SignedIn>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const COOKIE: &str = "larkspur_session";
const MAX_SESSIONS: usize = 1_000;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::playground::people::PEOPLE;

    #[test]
    fn a_session_lasts_until_it_is_ended() {
        let sessions = Sessions::default();
        let cookie = sessions.begin(&PEOPLE[0]);
        assert!(cookie.http_only().unwrap() && cookie.same_site() == Some(SameSite::Lax));
        let request = TestRequest::default().cookie(cookie).to_http_request();
        assert_eq!(sessions.user(&request), Some(SignedIn { person: &PEOPLE[0], plan: Tier::Free }));
        assert!(sessions.change_plan(&request, Tier::Pro));
        assert_eq!(sessions.user(&request).unwrap().plan, Tier::Pro);
        sessions.end(&request);
        assert_eq!(sessions.user(&request), None);
    }

    #[test]
    fn an_unknown_id_has_no_session() {
        let request = TestRequest::default().cookie(Cookie::new(COOKIE, "1")).to_http_request();
        assert_eq!(Sessions::default().user(&request), None);
    }
}
