//! A provider that sends incorrect responses, fails or is slow, and authorization responses that
//! belong to another login: no user is signed in.

use std::time::Duration;

use marketplace_sso::authn::oidc::{AccountChoice, OidcClient, OidcError, PendingLogin};
use marketplace_sso::clock::Timestamp;
use rstest::rstest;
use serde_json::json;

use crate::harness::issuer::pem;
use crate::harness::provider::{
    ADA, CLIENT_SECRET, Changes, FixedResponse, Lies, Login, RegisteredAuthentication, SignatureLie,
    assert_refused, change, client, provider,
};

// T37
#[tokio::test]
async fn an_incorrect_id_token_is_refused() {
    let token = |name, value| Lies { id_token: change(name, value), ..Lies::default() };
    let signature = |signature| Lies { signature, ..Lies::default() };
    let header = |name, value| Lies { header: change(name, value), ..Lies::default() };
    let several = json!(["marketplace-sso", "another"]);
    let now = Timestamp::now().unix_seconds();
    for (name, lies, detail) in [
        ("at_hash", token("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), "at_hash"),
        ("at_hash is a number", token("at_hash", json!(1)), "at_hash"),
        ("c_hash", token("c_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), "c_hash"),
        ("azp", token("azp", json!("another")), "azp"),
        ("azp is a list", token("azp", json!(["marketplace-sso"])), "azp"),
        ("several audiences", token("aud", several), "no azp"),
        ("issuer with a slash", token("iss", json!("https://id.example/")), "claim iss"),
        ("no nonce", token("nonce", json!(null)), "nonce"),
        ("no exp", token("exp", json!(null)), "claim exp"),
        ("exp is a string", token("exp", json!("9999999999")), "claim exp"),
        ("iat in the future", token("iat", json!(now + 100)), "claim iat"),
        ("nbf in the future", token("nbf", json!(now + 100)), "claim nbf"),
        ("sub is empty", token("sub", json!("")), "its sub"),
        ("sub is a placeholder", token("sub", json!("null")), "its sub"),
        ("sub is a number", token("sub", json!(1)), "its sub"),
        ("sub is long", token("sub", json!("a".repeat(256))), "its sub"),
        ("sid is a number", token("sid", json!(1)), "its sid"),
        ("auth_time is a string", token("auth_time", json!("0")), "auth_time"),
        ("auth_time in the future", token("auth_time", json!(now + 100)), "auth_time"),
        ("another algorithm", signature(SignatureLie::Rs512), "algorithm"),
        ("HS256 with the public key", signature(SignatureLie::PublicKey), "algorithm"),
        ("another key", signature(SignatureLie::AnotherKey), "signature"),
        ("unknown kid", header("kid", json!("../../dev/null")), "kid"),
        ("logout token", header("typ", json!("logout+jwt")), "typ"),
        ("access token", header("typ", json!("at+jwt")), "typ"),
        ("crit", header("crit", json!(["b64"])), "crit"),
    ] {
        let login = Login::with_lies("", lies);
        assert_refused(login.sign_in().await, name, ("invalid_token", detail));
    }
    let login = Login::with_lies("", token("exp", json!(now - 100)));
    assert_refused(login.sign_in().await, "expired", ("expired_token", "expired"));
}

#[tokio::test]
async fn several_audiences_are_accepted_with_azp() {
    let id_token =
        Changes::of(&[("aud", json!(["another", "marketplace-sso"])), ("azp", json!("marketplace-sso"))]);
    let login = Login::with_lies("", Lies { id_token, ..Lies::default() });
    assert_eq!(login.sign_in().await.unwrap().subject, ADA);
}

#[tokio::test]
async fn max_age_bounds_the_login_at_the_provider() {
    let login = Login::new("max_age_s = 60\nprompt = \"login\"");
    let begun = login.begin().await.unwrap();
    assert!(begun.url.contains("&max_age=60") && begun.url.contains("&prompt=login"), "{}", begun.url);
    assert!(login.sign_in().await.unwrap().authenticated_at.is_some());
    let long_ago = Timestamp::now().unix_seconds() - 100;
    for (value, detail) in [(json!(long_ago), "longer ago"), (json!(null), "no auth_time")] {
        login.provider.lie(Lies { id_token: change("auth_time", value), ..Lies::default() });
        assert_refused(login.sign_in().await, "auth_time", ("invalid_token", detail));
    }
}

/// The token response, and the detail of the refusal.
#[tokio::test]
async fn a_token_response_is_read_strictly() {
    let response = |name, value| Lies { token_response: change(name, value), ..Lies::default() };
    for (name, lies, detail) in [
        ("token_type", response("token_type", json!("DPoP")), "token_type is not Bearer"),
        ("no token_type", response("token_type", json!(null)), "missing, or has the wrong type"),
        ("no access_token", response("access_token", json!(null)), "missing, or has the wrong type"),
        ("empty access_token", response("access_token", json!("")), "access_token is empty"),
        ("access_token is a number", response("access_token", json!(1)), "access_token has the wrong type"),
        ("expires_in is a string", response("expires_in", json!("300")), "expires_in has the wrong type"),
        ("scope is a list", response("scope", json!(["openid"])), "scope has the wrong type"),
        ("id_token is a list", response("id_token", json!(["a"])), "wrong type"),
        ("no id_token", response("id_token", json!(null)), "no id_token"),
    ] {
        let login = Login::with_lies("", lies);
        assert_refused(login.sign_in().await, name, ("upstream_unavailable", detail));
    }
    for (name, id_token) in [("empty", ""), ("no token", "a.b"), ("five parts", "a.b.c.d.e")] {
        let login = Login::with_lies("", response("id_token", json!(id_token)));
        assert_refused(login.sign_in().await, name, ("invalid_token", "not a signed token"));
    }
}

/// Statuses, media types and bodies of each endpoint.
#[tokio::test]
async fn a_provider_that_fails_is_unavailable() {
    const JSON: &str = "application/json";
    let twice = r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#;
    let cases = [
        (500, JSON, "{}", "the status is 500"),
        (503, "text/html", "<html>", "the status is 503"),
        (429, JSON, r#"{"error":"invalid_grant"}"#, "the status is 429"),
        (302, JSON, "{}", "redirect"),
        (200, "text/html", "{}", "Content-Type"),
        (200, "application/jwt", "a.b.c", "Content-Type|signed"),
        (200, JSON, "", "not a JSON object"),
        (200, JSON, "[]", "not a JSON object"),
        (200, JSON, "{}{}", "not a JSON object"),
        (200, JSON, twice, "duplicate members"),
        (201, JSON, "{}", "the status is 201"),
    ];
    for path in ["/token", "/userinfo"] {
        for (status, content_type, body, detail) in cases {
            let response = FixedResponse { path, status, content_type, body: body.to_owned() };
            let login =
                Login::with_lies("user_info = true", Lies { response: Some(response), ..Lies::default() });
            let error = login.sign_in().await.unwrap_err();
            let text = error.to_string();
            assert_eq!(error.reason().code(), "upstream_unavailable", "{path} {status}: {text}");
            assert!(detail.split('|').any(|part| text.contains(part)), "{path} {status}: {text}");
        }
    }
    for (status, body) in [(500, ""), (404, ""), (302, ""), (200, "<html>"), (200, r#"{"issuer":1}"#)] {
        let path = "/.well-known/openid-configuration";
        let response = FixedResponse { path, status, content_type: JSON, body: body.to_owned() };
        let login = Login::with_lies("", Lies { response: Some(response), ..Lies::default() });
        assert_refused(login.begin().await, body, ("upstream_unavailable", "discovery document"));
    }
}

#[tokio::test]
async fn errors_of_the_token_endpoint_have_reasons() {
    for (error, reason, detail) in [
        ("invalid_grant", "invalid_token", "authorization code"),
        ("invalid_client", "internal", "invalid_client"),
        ("unauthorized_client", "internal", "unauthorized_client"),
        ("something", "internal", "not standardized"),
    ] {
        let body = json!({"error": error, "error_description": "canary"}).to_string();
        let response = FixedResponse { path: "/token", status: 400, content_type: "application/json", body };
        let login = Login::with_lies("", Lies { response: Some(response), ..Lies::default() });
        let outcome = login.sign_in().await;
        assert!(!outcome.as_ref().unwrap_err().to_string().contains("canary"));
        assert_refused(outcome, error, (reason, detail));
    }
}

#[tokio::test]
async fn a_login_begins_while_discovery_fails() {
    let path = "/.well-known/openid-configuration";
    let response = FixedResponse { path, status: 500, content_type: "text/html", body: String::new() };
    let fails = || Lies { response: Some(response.clone()), ..Lies::default() };
    let login = Login::new("");
    login.begin().await.unwrap();
    login.provider.lie(fails());
    assert!(login.begin().await.is_ok());
    // without an earlier document there is a pause between two attempts
    let login = Login::with_lies("", fails());
    assert_refused(login.begin().await, "first", ("upstream_unavailable", "500"));
    login.provider.lie(Lies::default());
    assert_refused(login.begin().await, "second", ("upstream_unavailable", "just now"));
}

#[tokio::test]
async fn a_slow_or_absent_provider_is_unavailable() {
    let slow = |path| Lies { delay: Some((path, Duration::from_secs(30))), ..Lies::default() };
    let unavailable = ("upstream_unavailable", "not available");
    let cases = [
        ("/.well-known/openid-configuration", unavailable),
        ("/token", unavailable),
        ("/userinfo", unavailable),
        ("/jwks", ("keys_unavailable", "cannot be verified")),
    ];
    // the time limit applies to the other requests, too
    let logins = cases.map(async |(path, refusal)| {
        let login = Login::with_lies("user_info = true\njwks_timeout_s = 5", slow(path));
        assert_refused(login.sign_in().await, path, refusal);
    });
    futures_util::future::join_all(logins).await;
    let text = "[identity]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"c\"";
    let absent = OidcClient::from_toml(text, "https://app.example.com/callback").unwrap();
    assert_refused(
        absent.begin(AccountChoice::Any, Timestamp::now).await,
        "absent",
        ("upstream_unavailable", "no response"),
    );
}

// T37
#[tokio::test]
async fn a_response_of_another_login_is_refused() {
    let login = Login::new("");
    let (one, other) = (login.begin().await.unwrap(), login.begin().await.unwrap());
    let callback = login.provider.sign_in(&one.url, ADA).unwrap();
    assert_refused(login.finish(&callback, &other).await, "another state", ("invalid_token", "state"));
    let without_state = callback.replace("state=", "other=");
    assert_refused(login.finish(&without_state, &one).await, "no state", ("invalid_token", "state"));
    let twice = format!("{callback}&code=another");
    assert_refused(login.finish(&twice, &one).await, "code twice", ("bad_request", "more than once"));
    // nothing was sent to the provider for any of them
    assert_eq!(login.requested_paths(), Vec::<String>::new());
    assert!(login.finish(&callback, &one).await.is_ok());
    assert_refused(login.finish(&callback, &one).await, "replayed", ("invalid_token", "authorization code"));

    let long_ago = Timestamp::now().unix_seconds() - PendingLogin::MAX_AGE_S;
    let mut late = login.begin().await.unwrap();
    late.pending.begun_at = long_ago;
    let callback = login.provider.sign_in(&late.url, ADA).unwrap();
    assert_refused(login.finish(&callback, &late).await, "late", ("expired_token", "seconds ago"));
}

/// A code of one login with the state of another, as an attacker would send it to a user's browser.
// T37
#[tokio::test]
async fn an_injected_code_is_refused() {
    let login = Login::new("");
    let (own, foreign) = (login.begin().await.unwrap(), login.begin().await.unwrap());
    let code_of =
        |url: &str| url.split(['?', '&']).find_map(|part| part.strip_prefix("code=")).unwrap().to_owned();
    let callback = login.provider.sign_in(&own.url, ADA).unwrap();
    let stolen = code_of(&login.provider.sign_in(&foreign.url, "usr-318").unwrap());
    let injected = callback.replace(&code_of(&callback), &stolen);
    // PKCE: the code challenge is that of the other login
    assert_refused(login.finish(&injected, &own).await, "injected", ("invalid_token", "authorization code"));
}

/// RFC 9207.
// T37
#[rstest]
#[case::another(json!("https://evil.example"), "another issuer")]
#[case::slash(json!("https://id.example/"), "another issuer")]
#[case::missing(json!(null), "no iss")]
#[tokio::test]
async fn a_response_of_another_issuer_is_refused(#[case] iss: serde_json::Value, #[case] detail: &str) {
    let login = Login::with_lies("", Lies { authorization_response: change("iss", iss), ..Lies::default() });
    assert_refused(login.sign_in().await, "iss", ("invalid_token", detail));
    assert!(!login.requested_paths().contains(&"/token".to_owned()));
}

/// A login that began at one provider cannot end at another one.
// T37
#[tokio::test]
async fn a_login_ends_only_at_the_provider_where_it_began() {
    let (one, other) = (Login::new(""), Login::new(""));
    let begun = one.begin().await.unwrap();
    let callback = one.provider.sign_in(&begun.url, ADA).unwrap();
    assert_refused(other.finish(&callback, &begun).await, "mix-up", ("invalid_token", "another issuer"));
    assert_eq!(other.requested_paths(), Vec::<String>::new());
}

#[tokio::test]
async fn iss_may_be_missing_where_it_is_not_announced() {
    let lies = Lies {
        discovery: change("authorization_response_iss_parameter_supported", json!(null)),
        authorization_response: change("iss", json!(null)),
        ..Lies::default()
    };
    assert!(Login::with_lies("", lies.clone()).sign_in().await.is_ok());
    let wrong = Lies { authorization_response: change("iss", json!("https://evil.example")), ..lies };
    assert!(Login::with_lies("", wrong).sign_in().await.is_err());
}

#[tokio::test]
async fn a_login_that_the_user_denies_is_refused() {
    let login = Login::new("");
    let begun = login.begin().await.unwrap();
    let callback = login.provider.deny(&begun.url).unwrap();
    let outcome = login.finish(&callback, &begun).await;
    assert!(matches!(outcome, Err(OidcError::Denied(_))));
    assert_refused(outcome, "denied", ("not_allowed", "access_denied"));
}

#[tokio::test]
async fn each_authentication_method_signs_in() {
    let key = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.pem");
    std::fs::write(&path, pem("PRIVATE KEY", key.to_pkcs8().unwrap().as_ref())).unwrap();
    let public = {
        use aws_lc_rs::encoding::AsDer;
        use aws_lc_rs::signature::KeyPair;
        pem("PUBLIC KEY", key.public_key().as_der().unwrap().as_ref())
    };
    let keys = marketplace_sso::jwt::key_set::KeySet::from_pem(public.as_bytes()).unwrap();
    let secret = || CLIENT_SECRET.to_owned();
    let cases = [
        (RegisteredAuthentication::None, String::new()),
        (RegisteredAuthentication::SecretBasic(secret()), format!("client_secret = {CLIENT_SECRET:?}")),
        (
            RegisteredAuthentication::SecretPost(secret()),
            format!("client_secret = {CLIENT_SECRET:?}\nclient_authentication = \"client_secret_post\""),
        ),
        (
            RegisteredAuthentication::PrivateKey(keys),
            format!("client_key_file = {path:?}\nclient_key_id = \"k-1\""),
        ),
    ];
    for (registered, settings) in cases {
        let provider = provider(registered);
        let login = Login { client: client(&provider, &settings), provider };
        assert_eq!(login.sign_in().await.unwrap().subject, ADA, "{settings}");
    }
    let wrong = provider(RegisteredAuthentication::SecretBasic(secret()));
    let login = Login { client: client(&wrong, "client_secret = \"another\""), provider: wrong };
    assert_refused(login.sign_in().await, "wrong secret", ("internal", "invalid_client"));
}

/// The preset for a provider of plain OAuth 2.0.
#[tokio::test]
async fn a_mittwald_user_is_looked_up() {
    let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let settings = format!("preset = \"mittwald\"\nclient_secret = {CLIENT_SECRET:?}");
    let login = Login { client: client(&provider, &settings), provider };
    let begun = login.begin().await.unwrap();
    assert!(begun.url.starts_with(&format!("{}/v2/oauth2/authorize?", login.provider.issuer())));
    assert!(begun.url.contains("code_challenge_method=S256") && !begun.url.contains("nonce="));
    let signed_in = login.sign_in().await.unwrap();
    assert_eq!(signed_in.subject, "3f1d6c7a-52c4-4d0e-9b0f-6a8e21f0c201");
    assert_eq!(signed_in.user.id.as_ref().unwrap().as_str(), signed_in.subject);
    assert_eq!(signed_in.user.name.as_ref().unwrap().as_str(), "Ada Winter");
    assert_eq!(login.requested_paths(), ["/v2/oauth2/token", "/v2/users/self"]);

    let logout = login.client.verify_logout_token("a.b.c", Timestamp::now).await;
    assert!(matches!(logout, Err(OidcError::NotSupported(_))));
    for value in [json!(null), json!(1), json!("")] {
        login.provider.lie(Lies { user_info: change("userId", value), ..Lies::default() });
        assert_refused(login.sign_in().await, "userId", ("upstream_unavailable", "userId"));
    }
}
