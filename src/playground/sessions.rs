//! Who is logged in to the sample app, by the id in a cookie. Kept in memory
//! and gone at the end; the service behind the proxy never sees any of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use uuid::Uuid;

use super::people::Person;

/// The sessions of the sample app.
#[derive(Default)]
pub struct Sessions {
    by_id: Mutex<HashMap<String, &'static Person>>,
}

impl Sessions {
    /// Begins a session and gives the cookie that stands for it.
    pub fn begin(&self, person: &'static Person) -> Cookie<'static> {
        // Two of them: 244 random bits.
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut sessions = self.lock();
        // A session costs nothing to begin, so their number is bounded, roughly.
        if sessions.len() >= MOST {
            sessions.clear();
        }
        sessions.insert(id.clone(), person);
        // Not `Secure`: the playground is plain HTTP on this machine.
        Cookie::build(COOKIE, id).path("/").http_only(true).same_site(SameSite::Lax).finish()
    }

    /// Who sent the request, if it belongs to a session.
    pub fn person(&self, request: &HttpRequest) -> Option<&'static Person> {
        let cookie = request.cookie(COOKIE)?;
        self.lock().get(cookie.value()).copied()
    }

    /// Ends the session of the request and gives the cookie that removes its cookie.
    pub fn end(&self, request: &HttpRequest) -> Cookie<'static> {
        if let Some(cookie) = request.cookie(COOKIE) {
            self.lock().remove(cookie.value());
        }
        let mut gone = Cookie::build(COOKIE, "").path("/").http_only(true).same_site(SameSite::Lax).finish();
        gone.make_removal();
        gone
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, &'static Person>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const COOKIE: &str = "larkspur_session";
const MOST: usize = 1_000;

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
        assert_eq!(sessions.person(&request), Some(&PEOPLE[0]));
        sessions.end(&request);
        assert_eq!(sessions.person(&request), None);
    }

    #[test]
    fn an_invented_id_is_nobody() {
        let request = TestRequest::default().cookie(Cookie::new(COOKIE, "1")).to_http_request();
        assert_eq!(Sessions::default().person(&request), None);
    }
}
