//! The test lists of the OpenID Foundation for relying parties (profiles basic, config and
//! back-channel logout), each entry by its name, against a stand-in provider.
//! <https://openid.net/certification/connect_rp_testing/>

use marketplace_sso::authn::oidc::LoggedOut;
use marketplace_sso::clock::Timestamp;
use serde_json::json;

use crate::harness::provider::{
    ADA, CLIENT_ID, Lies, Login, PublishedKeys, SignatureLie, assert_refused, change,
};

/// What the client has to do.
enum Expected {
    Accept,
    /// Refuse, with this reason and a part of the detail.
    Refuse(&'static str, &'static str),
}

use Expected::{Accept, Refuse};

/// The basic profile: the name of a test, the client's settings, the provider's wrong behaviour,
/// and what the client has to do.
fn basic() -> Vec<(&'static str, &'static str, Lies, Expected)> {
    let token = |name, value| Lies { id_token: change(name, value), ..Lies::default() };
    let signature = |signature| Lies { signature, ..Lies::default() };
    let elliptic = |signature| Lies { signature, keys: PublishedKeys::WithEs256, ..Lies::default() };
    let no_kid = |keys| Lies { header: change("kid", json!(null)), keys, ..Lies::default() };
    let user_info = |name, value| Lies { user_info: change(name, value), ..Lies::default() };
    let rejected = |detail| Refuse("invalid_token", detail);
    vec![
        ("oidcc-client-test", "", Lies::default(), Accept),
        (
            "oidcc-client-test-invalid-iss",
            "",
            token("iss", json!("https://evil.example")),
            rejected("claim iss"),
        ),
        ("oidcc-client-test-missing-sub", "", token("sub", json!(null)), rejected("no sub")),
        ("oidcc-client-test-invalid-aud", "", token("aud", json!("another")), rejected("claim aud")),
        ("oidcc-client-test-missing-aud", "", token("aud", json!(null)), rejected("claim aud")),
        ("oidcc-client-test-missing-iat", "", token("iat", json!(null)), rejected("claim iat")),
        ("oidcc-client-test-kid-absent-single-jwks", "", no_kid(PublishedKeys::One), Accept),
        (
            "oidcc-client-test-kid-absent-multiple-jwks",
            "",
            no_kid(PublishedKeys::Several),
            rejected("not exactly one key"),
        ),
        ("oidcc-client-test-idtoken-sig-rs256", "algorithms = [\"RS256\"]", Lies::default(), Accept),
        ("oidcc-client-test-idtoken-sig-none", "", signature(SignatureLie::Unsigned), rejected("algorithm")),
        ("oidcc-client-test-invalid-sig-rs256", "", signature(SignatureLie::Damaged), rejected("signature")),
        (
            "oidcc-client-test-invalid-sig-hs256",
            "",
            signature(SignatureLie::ClientSecret),
            rejected("algorithm"),
        ),
        (
            "oidcc-client-test-invalid-sig-es256",
            "algorithms = [\"ES256\"]",
            elliptic(SignatureLie::DamagedEs256),
            rejected("signature"),
        ),
        // the counterpart with a valid signature, which the list does not have
        ("idtoken-sig-es256", "algorithms = [\"ES256\"]", elliptic(SignatureLie::Es256), Accept),
        (
            "oidcc-client-test-userinfo-invalid-sub",
            "user_info = true",
            user_info("sub", json!("usr-318")),
            rejected("sub of the user info"),
        ),
        ("oidcc-client-test-userinfo-bearer-header", "user_info = true", Lies::default(), Accept),
        ("oidcc-client-test-nonce-invalid", "", token("nonce", json!("another")), rejected("nonce")),
    ]
}

// T37
#[tokio::test]
async fn the_basic_profile_is_met() {
    for (name, settings, lies, expected) in basic() {
        let login = Login::with_lies(settings, lies);
        let outcome = login.sign_in().await;
        match expected {
            Accept => {
                let signed_in = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(signed_in.subject, ADA, "{name}");
                assert_eq!(signed_in.user.email.unwrap().as_str(), "ada@winter-pottery.example", "{name}");
            }
            Refuse(reason, detail) => assert_refused(outcome, name, (reason, detail)),
        }
    }
}

/// `oidcc-client-test-scope-userinfo-claims`
#[tokio::test]
async fn claims_of_scopes_come_from_user_info() {
    let (email, name) = (change("email", json!(null)), Lies::default());
    let login = Login::with_lies("user_info = true", Lies { id_token: email, ..name });
    let user = login.sign_in().await.unwrap().user;
    assert_eq!(user.email.unwrap().as_str(), "ada@winter-pottery.example");
    let request = login.provider.requests().into_iter().find(|request| request.path == "/userinfo").unwrap();
    assert!(request.authorization.unwrap().starts_with("Bearer "));
}

/// `oidcc-client-test-client-secret-basic`
#[tokio::test]
async fn the_secret_is_sent_by_http_basic() {
    let login = Login::new("client_authentication = \"client_secret_basic\"");
    login.sign_in().await.unwrap();
    let request = login.provider.requests().into_iter().find(|request| request.path == "/token").unwrap();
    assert!(request.authorization.unwrap().starts_with("Basic "));
    assert!(!request.form.contains_key("client_secret"));
}

/// `oidcc-client-test-discovery-openid-config`, `oidcc-client-test-discovery-jwks-uri-keys`
#[tokio::test]
async fn endpoints_and_keys_are_discovered_once() {
    let login = Login::new("");
    let begun = login.begin().await.unwrap();
    assert!(begun.url.starts_with(&format!("{}/authorize?", login.provider.issuer())));
    for _ in 0..2 {
        login.sign_in().await.unwrap();
    }
    assert_eq!(login.requested_paths(), ["/token", "/jwks", "/token"]);
}

/// `oidcc-client-test-discovery-issuer-mismatch`
#[tokio::test]
async fn a_document_of_another_issuer_is_refused() {
    let lies = Lies { discovery: change("issuer", json!("https://evil.example")), ..Lies::default() };
    let login = Login::with_lies("", lies);
    assert_refused(login.begin().await, "issuer", ("upstream_unavailable", "its issuer"));
}

/// `oidcc-client-test-signing-key-rotation`, `oidcc-client-test-signing-key-rotation-just-before-signing`
#[tokio::test]
async fn rotated_keys_are_fetched() {
    let login = Login::new("");
    login.sign_in().await.unwrap();
    login.provider.rotate_keys().unwrap();
    login.sign_in().await.unwrap();
    login.provider.lie(Lies { rotates_before_signing: true, ..Lies::default() });
    let signed_in = login.sign_in().await.unwrap();
    assert_eq!(signed_in.user.credentials.key_id.as_deref(), Some("key-3"));
}

/// `oidcc-client-test-refresh-token`, `…-invalid-issuer`, `…-invalid-sub`
#[tokio::test]
async fn a_refresh_yields_the_same_user() {
    let login = Login::new("");
    let first = login.sign_in().await.unwrap();
    let second = login.refresh(&first).await.unwrap();
    assert_eq!((&second.subject, &second.sid), (&first.subject, &first.sid));
    assert_ne!(
        second.refresh_token.as_ref().map(|token| token.secret()),
        first.refresh_token.as_ref().map(|token| token.secret())
    );
    let mut latest = second;
    for (name, value, detail) in [
        ("iss", json!("https://evil.example"), "claim iss"),
        ("sub", json!("usr-318"), "sub is not that of the session"),
        ("nonce", json!("another"), "nonce is not that of the session"),
        ("auth_time", json!(1), "auth_time is not that of the session"),
    ] {
        login.provider.lie(Lies::default());
        latest = login.sign_in().await.unwrap();
        login.provider.lie(Lies { id_token: change(name, value), ..Lies::default() });
        assert_refused(login.refresh(&latest).await, name, ("invalid_token", detail));
    }
    // the refresh token was used already
    assert_refused(login.refresh(&latest).await, "again", ("invalid_token", "refresh token"));
}

/// OpenID Connect Core, 12.2: `auth_time` is that of the login, whatever its age.
#[tokio::test]
async fn a_refresh_may_be_later_than_max_age() {
    let login = Login::new("max_age_s = 3600");
    let mut signed_in = login.sign_in().await.unwrap();
    let long_ago = Timestamp::now().unix_seconds() - 50_000;
    signed_in.authenticated_at = Some(long_ago);
    login.provider.lie(Lies { id_token: change("auth_time", json!(long_ago)), ..Lies::default() });
    let refreshed = login.refresh(&signed_in).await.unwrap();
    assert_eq!(refreshed.authenticated_at, Some(long_ago));
    assert_refused(login.sign_in().await, "login", ("invalid_token", "auth_time"));
}

/// `oidcc-client-test-rp-init-logout`
#[tokio::test]
async fn the_logout_url_names_client_and_return_address() {
    let login = Login::new("post_logout_redirect_uri = \"https://app.example.com/a?b=c\"");
    let url = login.client.end_session_url(Timestamp::now).await.unwrap();
    let expected = format!(
        "{}/end_session?client_id={CLIENT_ID}&post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2Fa%3Fb%3Dc",
        login.provider.issuer()
    );
    assert_eq!(url, expected);
    let lies = Lies { discovery: change("end_session_endpoint", json!(null)), ..Lies::default() };
    let login = Login::with_lies("", lies);
    assert_eq!(login.client.end_session_url(Timestamp::now).await, None);
}

/// The profile back-channel logout.
fn backchannel() -> Vec<(&'static str, Lies, &'static str)> {
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let token = |name, value| Lies { logout_token: change(name, value), ..Lies::default() };
    let signature = |signature| Lies { signature, ..Lies::default() };
    let typ = |typ| Lies { header: change("typ", json!(typ)), ..Lies::default() };
    vec![
        (
            "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none",
            signature(SignatureLie::Unsigned),
            "algorithm",
        ),
        ("oidcc-client-test-rp-backchannel-rpinitlogout-no-event", token("events", json!(null)), "events"),
        ("oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce", token("nonce", json!("a")), "nonce"),
        (
            "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg",
            signature(SignatureLie::ClientSecret),
            "algorithm",
        ),
        (
            "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud",
            token("aud", json!("another")),
            "claim aud",
        ),
        (
            "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event",
            token("events", json!({"x": {}})),
            "events",
        ),
        (
            "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss",
            token("iss", json!("https://evil.example")),
            "claim iss",
        ),
        ("event is no object", token("events", json!({event: true})), "events"),
        ("events is a list", token("events", json!([event])), "events"),
        ("no jti", token("jti", json!(null)), "jti"),
        ("jti is a number", token("jti", json!(1)), "jti"),
        ("no iat", token("iat", json!(null)), "claim iat"),
        ("no exp", token("exp", json!(null)), "claim exp"),
        ("neither sub nor sid", token("sub", json!(null)), "neither a sub nor a sid"),
        ("sub is a number", token("sub", json!(1)), "its sub"),
        ("an ID token", typ("id+jwt"), "typ"),
        ("an access token", typ("at+jwt"), "typ"),
        ("another key", signature(SignatureLie::AnotherKey), "signature"),
    ]
}

// T40
#[tokio::test]
async fn a_logout_token_is_verified() {
    let login = Login::new("");
    for (name, lies, detail) in backchannel() {
        login.provider.lie(lies);
        let token = login.provider.logout_token(Some(ADA), None).unwrap();
        let outcome = login.client.verify_logout_token(&token, Timestamp::now).await;
        assert_refused(outcome, name, ("invalid_token", detail));
    }
    // oidcc-client-test-rp-backchannel-rpinitlogout
    login.provider.lie(Lies::default());
    let session = |sid: &str, subject: Option<&str>| LoggedOut::Session {
        sid: sid.to_owned(),
        subject: subject.map(str::to_owned),
    };
    for (person, sid, expected) in [
        (Some(ADA), None, LoggedOut::Subject(ADA.to_owned())),
        (None, Some("s-1"), session("s-1", None)),
        (Some(ADA), Some("s-1"), session("s-1", Some(ADA))),
    ] {
        let token = login.provider.logout_token(person, sid).unwrap();
        let verified = login.client.verify_logout_token(&token, Timestamp::now).await.unwrap();
        assert_eq!(verified.sessions, expected);
        assert!(!verified.jti.is_empty() && verified.remember_until > verified.issued_at);
    }
}

/// The login page of the stand-in, as a browser uses it.
#[tokio::test]
async fn a_login_by_the_page_signs_in() {
    let login = Login::new("");
    let begun = login.begin().await.unwrap();
    let browser =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = browser.get(&begun.url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    assert!(page.text().await.unwrap().contains("Ada Winter"));
    let (address, query) = begun.url.split_once('?').unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("user", ADA)
        .append_pair("request", query)
        .finish();
    let form = browser.post(address).header("Content-Type", "application/x-www-form-urlencoded").body(form);
    let response = form.send().await.unwrap();
    assert_eq!(response.status(), 303);
    let callback = response.headers()["location"].to_str().unwrap();
    assert_eq!(login.finish(callback, &begun).await.unwrap().subject, ADA);
}
