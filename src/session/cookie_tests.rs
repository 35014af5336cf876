//! Tests of both cookies: which can be opened, and which cannot.

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rstest::rstest;

    use super::super::content::{START, session};
    use super::super::*;
    use crate::request::Headers;
    use crate::seal::Purpose;
    use crate::secret::SharedSecret;

    const HOST: &str = "https://sso.example.com";
    const PROVIDER: Provider<'_> = Provider { issuer: "https://id.example.com", client_id: "c" };

    fn settings(keys: &str, same_site: SameSite) -> Arc<SessionSettings> {
        let secrets: Vec<SharedSecret> =
            keys.chars().map(|key| SharedSecret::parse(&key.to_string().repeat(32)).unwrap()).collect();
        Arc::new(SessionSettings {
            session_keys: KeyRing::derive(&secrets, Purpose::SessionCookie).unwrap(),
            login_keys: KeyRing::derive(&secrets, Purpose::LoginCookie).unwrap(),
            idle: Duration::from_secs(3600),
            absolute: Duration::from_secs(43_200),
            refresh_after: Some(Duration::from_secs(300)),
            same_site,
        })
    }

    fn cookies(keys: &str) -> SessionCookies {
        SessionCookies::new(settings(keys, SameSite::Lax), "main", HOST, PROVIDER)
    }

    fn logins(keys: &str) -> LoginCookies {
        LoginCookies::new(settings(keys, SameSite::Lax), "main", HOST, PROVIDER)
    }

    fn after(seconds: u64) -> Timestamp {
        START.later_by(Duration::from_secs(seconds))
    }

    /// The name and value of a `Set-Cookie`.
    fn pair(set: &str) -> &str {
        set.split(';').next().unwrap()
    }

    fn headers(cookie: &str) -> Headers<'_> {
        std::iter::once(("cookie", cookie.as_bytes())).collect()
    }

    fn open(cookies: &SessionCookies, cookie: &str, now: Timestamp) -> Result<Box<Session>, NoSession> {
        cookies.open(&headers(cookie), now, &EndedSessions::default())
    }

    #[rstest]
    #[case::lax(HOST, SameSite::Lax, "__Host-sso-main=", "; Path=/; HttpOnly; Secure; SameSite=Lax")]
    #[case::loopback("http://localhost:8080", SameSite::Lax, "sso-main=", "; Path=/; HttpOnly; SameSite=Lax")]
    #[case::partitioned(
        HOST,
        SameSite::NonePartitioned,
        "__Host-sso-main-partitioned=",
        "; Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
    )]
    fn the_cookie_has_its_prefix_and_attributes(
        #[case] public_url: &str,
        #[case] same_site: SameSite,
        #[case] begins: &str,
        #[case] ends: &str,
    ) {
        let cookies = SessionCookies::new(settings("a", same_site), "main", public_url, PROVIDER);
        let set = cookies.set(&session()).unwrap();
        assert!(set.starts_with(begins) && set.ends_with(ends), "{set}");
        assert!(!set.contains("alice") && !format!("{cookies:?} {:?}", session()).contains("alice"));
        assert_eq!(cookies.delete(), format!("{begins}{ends}; Max-Age=0"));
    }

    #[test]
    fn a_session_opens_among_other_cookies() {
        let cookies = cookies("a");
        let set = cookies.set(&session()).unwrap();
        let opened = open(&cookies, &format!("a=b; {}; c=\"d\"", pair(&set)), START).unwrap();
        assert_eq!(opened.user, session().user);
        assert_eq!(opened.user.credentials.issuer.as_deref(), Some("https://id.example.com"));
        assert_eq!(open(&cookies, "a=b", START).unwrap_err(), NoSession::Absent);
        let twice = format!("{}; {}", pair(&set), pair(&set));
        assert_eq!(open(&cookies, &twice, START).unwrap_err(), NoSession::Repeated);
    }

    // T38
    #[test]
    fn a_changed_cookie_is_not_a_session() {
        let cookies = cookies("a");
        let set = cookies.set(&session()).unwrap();
        let (name, value) = pair(&set).split_once('=').unwrap();
        let mut wrong: Vec<String> = (0..value.len()).map(|length| value[..length].to_owned()).collect();
        for place in 0..value.len() {
            let mut changed = value.as_bytes().to_vec();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            wrong.push(String::from_utf8(changed).unwrap());
        }
        let (head, tail) = value.split_at(value.len() / 2);
        wrong.extend([format!("{tail}{head}"), format!("{value}="), format!("{value}A"), value.repeat(9)]);
        wrong.extend(["%00".to_owned(), "\u{e4}".to_owned(), "A".repeat(100_000)]);
        for value in wrong {
            let opened = open(&cookies, &format!("{name}={value}"), START);
            assert_eq!(opened.unwrap_err(), NoSession::Unreadable, "{value}");
        }
    }

    // T38
    #[test]
    fn a_cookie_of_another_entrance_host_or_key_is_not_a_session() {
        let (own, set) = (cookies("a"), cookies("a").set(&session()).unwrap());
        let (_, value) = pair(&set).split_once('=').unwrap();
        assert!(open(&own, pair(&set), START).is_ok());
        let settings = settings("a", SameSite::Lax);
        let with = |provider| SessionCookies::new(Arc::clone(&settings), "main", HOST, provider);
        let others = [
            SessionCookies::new(Arc::clone(&settings), "partners", HOST, PROVIDER),
            SessionCookies::new(Arc::clone(&settings), "main", "https://other.example.com", PROVIDER),
            SessionCookies::new(Arc::clone(&settings), "main", "http://sso.example.com", PROVIDER),
            cookies("b"),
            with(Provider { issuer: "https://other.example.com", ..PROVIDER }),
            with(Provider { client_id: "another", ..PROVIDER }),
        ];
        for other in others {
            let opened = open(&other, &format!("{}={value}", other.name()), START);
            assert_eq!(opened.unwrap_err(), NoSession::Unreadable, "{other:?}");
        }
        // a login cookie is sealed with another key
        let login = logins("a").set("state", START, &session().to_content().unwrap()).unwrap();
        let (_, sealed) = pair(&login).split_once('.').unwrap();
        assert_eq!(
            open(&own, &format!("{}={sealed}", own.name()), START).unwrap_err(),
            NoSession::Unreadable
        );
    }

    // T38
    #[test]
    fn a_session_outlasts_a_new_key_until_its_own_is_retired() {
        let set = cookies("a").set(&session()).unwrap();
        assert!(open(&cookies("ba"), pair(&set), START).is_ok());
        assert_eq!(open(&cookies("b"), pair(&set), START).unwrap_err(), NoSession::Unreadable);
    }

    #[test]
    fn a_session_ends_when_idle_or_too_old() {
        let cookies = cookies("a");
        let set = cookies.set(&session()).unwrap();
        assert!(open(&cookies, pair(&set), after(3599)).is_ok());
        assert_eq!(open(&cookies, pair(&set), after(3600)).unwrap_err(), NoSession::Idle);
        let used = Session { used: after(43_000), ..session() };
        let set = cookies.set(&used).unwrap();
        assert!(open(&cookies, pair(&set), after(43_199)).is_ok());
        assert_eq!(open(&cookies, pair(&set), after(43_200)).unwrap_err(), NoSession::TooOld);
        let future = Session { created: after(43_201), used: after(43_201), ..session() };
        let set = cookies.set(&future).unwrap();
        assert!(open(&cookies, pair(&set), START).is_err(), "the clock was set back");
    }

    // T38
    #[test]
    fn a_refreshed_session_opens_only_for_its_refresh() {
        let (cookies, session) = (cookies("a"), session());
        let key = RefreshKey::of(&session);
        let sealed = cookies.seal_refreshed(key, &session).unwrap();
        let opened = cookies.open_refreshed(key, &sealed).unwrap();
        assert_eq!((opened.id, &opened.user), (session.id, &session.user));
        let rotated = Session { refresh_token: Some("next".into()), ..session.clone() };
        // the same refresh token: some providers do not issue a new one
        let later = Session { refreshed: after(300), ..session };
        for next in [rotated, later] {
            assert!(cookies.open_refreshed(RefreshKey::of(&next), &sealed).is_none());
        }
        let cookie = format!("{}={}", cookies.name(), URL_SAFE_NO_PAD.encode(&sealed));
        assert_eq!(open(&cookies, &cookie, START).unwrap_err(), NoSession::Unreadable);
    }

    #[test]
    fn an_ended_session_does_not_open() {
        let (cookies, ended) = (cookies("a"), EndedSessions::default());
        let set = cookies.set(&session()).unwrap();
        ended.add([(EndedKey::of_sign_in(&session()), START)]);
        assert_eq!(cookies.open(&headers(pair(&set)), START, &ended).unwrap_err(), NoSession::Ended);
    }

    #[test]
    fn a_session_in_use_is_extended_and_refreshed() {
        let (cookies, session) = (cookies("a"), session());
        assert!(!cookies.is_to_extend(&session, after(360)) && cookies.is_to_extend(&session, after(361)));
        assert!(!cookies.is_to_refresh(&session, after(299)) && cookies.is_to_refresh(&session, after(300)));
        let without = Session { refresh_token: None, ..session };
        assert!(!cookies.is_to_refresh(&without, after(3000)));
    }

    #[test]
    fn a_session_that_is_too_large_names_its_largest_part() {
        let mut session = session();
        session.user.groups =
            (0..200).map(|n| crate::user::Label::parse(&format!("group number {n}")).unwrap()).collect();
        let Err(NotACookie::TooLarge { bytes, part, part_bytes }) = cookies("a").set(&session) else {
            panic!("it fits")
        };
        assert!(bytes > 4000 && part_bytes > 3000, "{bytes} {part_bytes}");
        assert_eq!(part, "groups");
    }

    // T37
    #[test]
    fn a_login_cookie_opens_for_its_state_within_fifteen_minutes() {
        let logins = logins("a");
        let set = logins.set("state-1", START, b"data").unwrap();
        assert!(
            set.starts_with("__Host-sso-login-") && set.contains("; Secure; Path=/; HttpOnly; SameSite=Lax")
        );
        assert!(set.ends_with("; Max-Age=900"), "{set}");
        let open = |logins: &LoginCookies, cookie: &str, state: &str, now| {
            logins.open(&headers(cookie), state, now).map_err(|why| (why, state.len()))
        };
        assert_eq!(open(&logins, pair(&set), "state-1", after(600)).unwrap(), b"data");
        assert_eq!(open(&logins, pair(&set), "state-1", after(16 * 60)), Err((NoLogin::TooOld, 7)));
        assert_eq!(open(&logins, pair(&set), "state-2", START), Err((NoLogin::Absent, 7)));
        // a cookie renamed for another state, or with another time
        let renamed = logins.set("state-2", START, b"").unwrap();
        let (name, _) = pair(&renamed).split_once('=').unwrap();
        let (_, value) = pair(&set).split_once('=').unwrap();
        let renamed = format!("{name}={value}");
        assert_eq!(open(&logins, &renamed, "state-2", START), Err((NoLogin::Unreadable, 7)));
        let later = pair(&set).replacen("1800000000.", "1800000900.", 1);
        assert_eq!(open(&logins, &later, "state-1", after(900)), Err((NoLogin::Unreadable, 7)));
        // cookies of another entrance, host or key
        let other = LoginCookies::new(settings("a", SameSite::Lax), "partners", HOST, PROVIDER);
        assert_eq!(open(&other, pair(&set), "state-1", START), Err((NoLogin::Unreadable, 7)));
        let other =
            LoginCookies::new(settings("a", SameSite::Lax), "main", "https://other.example.com", PROVIDER);
        assert_eq!(open(&other, pair(&set), "state-1", START), Err((NoLogin::Unreadable, 7)));
        let other = LoginCookies::new(settings("b", SameSite::Lax), "main", HOST, PROVIDER);
        assert_eq!(open(&other, pair(&set), "state-1", START), Err((NoLogin::Unreadable, 7)));
    }

    #[test]
    fn a_fifth_sign_in_deletes_the_oldest() {
        let logins = logins("a");
        let all: Vec<String> = [3, 1, 2, 4]
            .map(|n| logins.set(&format!("state-{n}"), after(n), b"").unwrap())
            .iter()
            .map(|set| pair(set).to_owned())
            .collect();
        assert!(logins.make_place(&headers(&all[..3].join("; "))).is_empty());
        let deleted = logins.make_place(&headers(&format!("a=b; {}; __Host-sso-main=x", all.join("; "))));
        assert_eq!(deleted, [logins.delete("state-1")]);
        assert!(deleted[0].ends_with("Max-Age=0"));
        let more = format!("{}; __Host-sso-login-0000000g=1.x; __Host-sso-login-00000000=x", all.join("; "));
        let deleted = logins.make_place(&headers(&more));
        assert_eq!(deleted.len(), 2);
        assert!(deleted[0].starts_with("__Host-sso-login-00000000="), "{deleted:?}");
    }
}
