//! CAF: a person's attestation is the token, signed with the secret that CAF shares
//! with its client.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::harness::issuer::{Changes, Key, assert_invalid, claims_of, without_signature};
use crate::harness::{App, SECRET, Settings, Token};

const SHARED: &str = "what-caf-and-its-client-alone-know";

/// A service that copies two attributes to the token.
fn start() -> App {
    App::start(settings())
}

fn settings() -> Settings {
    Settings::caf(SHARED)
        .set("claims.meta.attempt", "attributes.attempt_id")
        .set("claims.meta.is_new", "attributes.is_new_context")
}

/// The documented attestation, with changes as in [`claims_of`].
fn attestation(changed: &Changes<'_>) -> String {
    let defaults = [
        ("attemptId", "\"attempt-1\""),
        ("peopleId", "\"person-1\""),
        ("policyId", "\"policy-1\""),
        ("isAuthorized", "true"),
        ("isNewContext", "false"),
        ("iat", "@0"),
        ("exp", "@120"),
    ];
    claims_of(&defaults, changed)
}

fn token(changed: &Changes<'_>) -> String {
    Key::shared(SHARED).sign(r#"{"alg":"HS256","typ":"JWT"}"#, &attestation(changed))
}

#[test]
fn an_attested_person_is_signed_on() {
    let app = start();
    let claims = Token::of(&app.send_token(&token(&[]))).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("person-1"), &json!("person-1")));
    assert_eq!(claims["meta"], json!({"attempt": "attempt-1", "is_new": false}));
}

/// The two spellings of the person's claim.
#[test]
fn the_person_is_read_from_either_claim() {
    let app = start();
    let cases: [(&Changes<'_>, Option<&str>); 11] = [
        (&[("peopleId", "\"p-2\"")], Some("p-2")),
        (&[("peopleId", ""), ("personId", "\"p-3\"")], Some("p-3")),
        (&[("personId", "\"person-1\"")], None),
        (&[("personId", "\"p-4\"")], None),
        (&[("personId", "null")], None),
        (&[("peopleId", "")], None),
        (&[("peopleId", "\"\"")], None),
        (&[("peopleId", "\" \"")], None),
        (&[("peopleId", "\"undefined\"")], None),
        (&[("peopleId", "1")], None),
        (&[("peopleId", "[\"p-1\"]")], None),
    ];
    for (changed, person) in cases {
        let response = app.send_token(&token(changed));
        match person {
            Some(person) => assert_eq!(Token::of(&response).claims["sub"], person),
            None => response.assert_refused(401, "invalid_token"),
        }
    }
}

#[test]
fn an_unauthorized_person_is_refused() {
    let app = start();
    let response = app.send_token(&token(&[("isAuthorized", "false")]));
    response.assert_refused(403, "not_allowed");
    assert_eq!(app.send_token(&token(&[])).status, 307);
    // a forged attestation is invalid, not unauthorized
    let other = Key::shared("another-secret-of-thirty-two-bytes");
    let forged = other.sign(r#"{"alg":"HS256"}"#, &attestation(&[("isAuthorized", "false")]));
    app.send_token(&forged).assert_refused(401, "invalid_token");
}

/// A claim and its invalid values, as in [`claims_of`].
#[test]
fn an_undocumented_attestation_is_rejected() {
    let app = start();
    assert_eq!(app.send_token(&token(&[])).status, 307);
    let cases = [
        ("isAuthorized", r#"|"true"|1|null|[true]|""|{}"#, "invalid_token"),
        ("policyId", r#"|"policy-2"|"Policy-1"|null|["policy-1"]|1"#, "invalid_token"),
        ("exp", r#"|null|"@120"|true|-1"#, "invalid_token"),
        ("exp", "@0|@-1|0", "expired_token"),
        ("iat", r#"|null|"0"|@60"#, "invalid_token"),
        ("nbf", "@60", "invalid_token"),
    ];
    assert_invalid(&cases, |name, value| app.send_token(&token(&[(name, value)])));
}

#[test]
fn only_hs256_with_the_client_secret_is_accepted() {
    let (app, claims) = (start(), attestation(&[]));
    assert_eq!(app.send_token(&token(&[])).status, 307);
    let key = Key::shared(SHARED);
    for named in ["HS512", "HS384", "none", "None", "hs256", "RS256", ""] {
        let signed = key.sign(&json!({"alg": named}).to_string(), &claims);
        app.send_token(&signed).assert_refused(401, "invalid_token");
        app.send_token(&without_signature(&signed)).assert_refused(401, "invalid_token");
    }
    for secret in ["", SECRET, "policy-1", &SHARED.to_uppercase(), &format!("{SHARED}\n")] {
        app.send_token(&Key::shared(secret).sign(r#"{"alg":"HS256"}"#, &claims))
            .assert_refused(401, "invalid_token");
    }
    // even with a valid HS512 signature
    let hs512 = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, SHARED.as_bytes());
    let parts = key.sign(r#"{"alg":"HS512"}"#, &claims);
    let (signed, _) = parts.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&hs512, signed.as_bytes()));
    app.send_token(&format!("{signed}.{signature}")).assert_refused(401, "invalid_token");
}

#[test]
fn leeway_and_header_are_configurable() {
    let app = App::start(settings().identity("header", "X-Attestation").identity("leeway_s", 60));
    let send_token = |token: &str| app.get("/pandium-sso", &[("X-Attestation", token)]);
    assert_eq!(send_token(&token(&[("exp", "@-30")])).status, 307);
    send_token(&token(&[("exp", "@-61")])).assert_refused(401, "expired_token");
    app.send_token(&token(&[])).assert_refused(401, "unauthenticated");
}

#[test]
fn a_wrong_setting_is_named() {
    let caf = || Settings::caf(SHARED);
    for (settings, key, message) in [
        (caf().without("identity.client_secret"), "identity.client_secret", ""),
        (caf().identity("client_secret", "short"), "identity.client_secret", "32 bytes"),
        (caf().identity("client_secret", SECRET), "identity.client_secret", "pandium.shared_secret"),
        (caf().without("identity.policy_id"), "identity.policy_id", ""),
        (caf().identity("policy_id", ""), "identity.policy_id", "empty"),
        (caf().without("claims"), "claims.sub", "sub = \"id\""),
    ] {
        settings.assert_wrong(key, message);
        assert!(!format!("{:?}", settings.check()).contains("alone-know"), "{key}");
    }
    assert_eq!(caf().check().status, 0);
}
