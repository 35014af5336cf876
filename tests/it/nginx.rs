//! The documented nginx configurations, unchanged, in a real nginx: only the login decides which
//! user is signed on, and an outage of a backend shows a page that can be framed.

use rstest::rstest;

use crate::harness::recipe::{
    ALL, NginxSetup, OAUTH2_PROXY, Outage, Source, start_before_echo_of_host, start_before_sign_in,
};
use crate::harness::sign_in::SignInService;
use crate::harness::{Field, Token};

const ALICES_COOKIE: Field<'static> = ("Cookie", "session=alice");
const HTML: Field<'static> = ("Accept", "text/html");

#[test]
fn a_signed_in_user_is_handed_off() {
    for (recipe, setup) in NginxSetup::start_each() {
        let response = setup.get("/pandium-sso", &[ALICES_COOKIE, HTML]);
        let token = Token::of(&response);
        assert_eq!(token.claims["sub"], recipe.sub, "{:?}", recipe.source);
        assert_eq!(token.claims["ti"]["uem"], "alice@example.com", "{:?}", recipe.source);
        assert_eq!(token.claims["meta"]["groups"], serde_json::json!(["staff", "ops"]));
        assert_eq!(response.header("cache-control"), "no-store");
        assert_eq!(response.header("content-security-policy"), "frame-ancestors https://app.example.com");

        let deeper = setup.get("/pandium-sso/install/1121?display=settings", &[ALICES_COOKIE]);
        let token = Token::of(&deeper);
        let url = (token.url.path(), token.link());
        assert_eq!(url, ("/acme/tenants/create/1121", "display=settings".to_owned()), "{:?}", recipe.source);
    }
}

#[test]
fn a_signed_out_user_sees_the_sign_in_page() {
    for (recipe, setup) in NginxSetup::start_each() {
        for headers in [&[HTML][..], &[HTML, ("Cookie", "session=mallory")]] {
            let response = setup.get("/pandium-sso", headers);
            assert_eq!(response.status, 401, "{:?}", recipe.source);
            response.assert_no_token();
            let page = response.page();
            assert!(page.contains("https://app.example.com/login") && page.contains("unauthenticated"));
            let policy = response.header("content-security-policy");
            assert!(policy.contains("frame-ancestors https://app.example.com"), "{policy}");
        }
        setup.get("/pandium-sso", &[]).assert_refused(401, "unauthenticated");
    }
}

#[test]
fn the_component_needs_no_login() {
    for recipe in ALL {
        let setup = NginxSetup::start(*recipe);
        for (path, kind) in [
            ("/embed", "text/html; charset=utf-8"),
            ("/embed.js", "text/javascript; charset=utf-8"),
            ("/embed.json", "application/json"),
            ("/embed.d.ts", "text/plain; charset=utf-8"),
        ] {
            let response = setup.get(path, &[]);
            assert_eq!((response.status, response.header("content-type")), (200, kind), "{path}");
        }
        let script = setup.get("/embed.js", &[]);
        let hashed = setup.get(script.header("content-location"), &[]);
        // the Ingress has no rule for the component
        let is_forwarded = !matches!(recipe.source, Source::Ingress(_));
        assert_eq!(hashed.status == 200, is_forwarded, "{:?}", recipe.source);
    }
}

#[rstest]
#[case::login(Outage::Login)]
#[case::service(Outage::Service)]
fn an_outage_page_can_be_framed(#[case] outage: Outage) {
    for recipe in ALL {
        let setup = NginxSetup::start_without(*recipe, outage);
        for headers in [&[HTML][..], &[HTML, ALICES_COOKIE], FORGED[0]] {
            let page = setup.get("/pandium-sso?display=settings", headers);
            assert_eq!((page.status, page.header("content-type")), (503, "text/html"), "{:?}", recipe.source);
            assert!(page.text().contains("Sign-in is not available"), "{}", page.text());
            assert!(!page.has("x-frame-options"));
            page.assert_no_token();
            let policy = page.header("content-security-policy");
            assert_eq!(policy, "default-src 'none'; frame-ancestors https://app.example.com");
            assert_eq!((page.header("cache-control"), page.header("retry-after")), ("no-store", "10"));
        }
    }
}

#[test]
fn nginx_forwards_the_host_of_the_browser() {
    for recipe in ALL {
        let nginx = start_before_echo_of_host(*recipe);
        let host = ("Host", "app.example.com");
        for headers in [&[host][..], &[host, ALICES_COOKIE]] {
            for path in ["/pandium-sso", "/pandium-sso/install/1121", "/embed", "/embed.js"] {
                assert_eq!(nginx.get(path, headers).text(), "app.example.com", "{path}");
            }
        }
    }
}

#[test]
fn nginx_passes_the_sign_in_on() {
    let service = SignInService::start();
    let nginx = start_before_sign_in(service.app.address());
    let host = ("Host", "app.example.com");
    nginx.get("/pandium-sso", &[host]).assert_refused(401, "unauthenticated");
    let begun = nginx.get("/auth/pandium-sso/login?return=/pandium-sso", &[host, HTML]);
    assert_eq!(begun.status, 303, "{begun:?}");
    assert!(begun.header("location").contains("code_challenge_method=S256"), "{begun:?}");
    let cookie = format!("__Host-sso-pandium-sso={}", service.signed_in().session());
    let handed_off = nginx.get("/pandium-sso/install/1121", &[host, ("Cookie", &cookie)]);
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    for (path, status) in [("/embed.js", 200), ("/l/unknown", 404), ("/metrics", 404), ("/pandium-ssox", 404)]
    {
        assert_eq!(nginx.get(path, &[host]).status, status, "{path}");
    }
}

const FORGED: &[&[Field<'static>]] = &[
    &[("X-Auth-Request-Email", "boss@example.com")],
    &[("x-auth-request-email", "boss@example.com")],
    &[("X_Auth_Request_Email", "boss@example.com")],
    &[("x_auth_request_email", "boss@example.com")],
    &[("X.Auth.Request.Email", "boss@example.com")],
    &[("X-Auth-Request-Email", "boss@example.com"), ("X-Auth-Request-Email", "boss@example.com")],
    &[("X-Auth-Request-Email", "boss@example.com"), ("Connection", "X-Auth-Request-Email")],
    &[("X-Auth-Request-User", "boss"), ("X-Auth-Request-Preferred-Username", "boss")],
    &[("X-Auth-Request-Groups", "admins")],
    &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Email", "boss@example.com")],
    &[("X-User-Email", "boss@example.com"), ("X-User-Id", "boss")],
    &[("X_User_Email", "boss@example.com"), ("X-User-Plan", "gold"), ("X-User-Name", "Boss")],
    &[("X-User-Groups", "admins"), ("Connection", "X-User-Email")],
    &[("Remote-User", "boss"), ("X-Original-URL", "/oauth2/auth")],
    &[("Remote-User", "boss"), ("Remote-Email", "boss@example.com"), ("Remote-Groups", "admins")],
    &[("X-authentik-username", "boss"), ("X-authentik-email", "boss@example.com")],
    &[("X-authentik-uid", "boss"), ("X-authentik-name", "Boss"), ("X-authentik-groups", "admins")],
    &[("X-Vouch-User", "boss@example.com"), ("X-Vouch-IdP-Claims-Email", "boss@example.com")],
    &[("X-Vouch-IdP-Claims-Sub", "boss"), ("X-Vouch-IdP-Claims-Name", "Boss")],
    &[("X-Vouch-IdP-Claims-Groups", "admins"), ("Connection", "X-Vouch-User")],
];

// T2
#[test]
fn forged_headers_change_nothing() {
    for (recipe, setup) in NginxSetup::start_each() {
        let defaults = Token::of(&setup.get("/pandium-sso", &[ALICES_COOKIE])).claims;
        for forged in FORGED {
            setup.get("/pandium-sso", forged).assert_refused(401, "unauthenticated");
            let response = setup.get("/pandium-sso", &[forged, &[ALICES_COOKIE][..]].concat());
            let claims = Token::of(&response).claims;
            for claim in ["sub", "ti", "meta"] {
                assert_eq!(claims[claim], defaults[claim], "{:?}: {forged:?}", recipe.source);
            }
            assert_eq!(claims.len(), defaults.len(), "{:?}: {forged:?}", recipe.source);
        }
    }
}

#[test]
fn without_nginx_forged_headers_are_accepted() {
    let setup = NginxSetup::start(OAUTH2_PROXY);
    // positive control: sent from nginx's address, the forged header is accepted
    assert_eq!(setup.app.get("/pandium-sso", FORGED[0]).status, 307);
}
