//! CAF: a person's attestation is the token, signed with the secret that CAF shares
//! with its client.

use rstest::rstest;
use serde_json::json;

use crate::harness::command::{File, run};
use crate::harness::issuer::{Key, claims_of, standard_with};
use crate::harness::{App, SECRET, Token};

const SHARED: &str = "what-caf-and-its-client-alone-know";

const BY_ID: &str = "[claims]\nsub = \"id\"\n[claims.meta]\nattempt = \"attributes.attempt_id\"\n\
                     is_new = \"attributes.is_new_context\"";

fn settings(secret: &str) -> String {
    format!("kind = \"caf\"\nclient_secret = {secret:?}\npolicy_id = \"policy-1\"\n")
}

/// The documented attestation, with changes as in [`claims_of`].
fn attestation(changed: &[(&str, &str)]) -> String {
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

fn token(changed: &[(&str, &str)]) -> String {
    Key::shared(SHARED).sign(r#"{"alg":"HS256","typ":"JWT"}"#, &attestation(changed))
}

fn start() -> App {
    App::start_with_identity(&settings(SHARED), BY_ID)
}

#[test]
fn an_attested_person_is_signed_on() {
    let app = start();
    let claims = Token::of(&app.send_token(&token(&[]))).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("person-1"), &json!("person-1")));
    assert_eq!(claims["meta"], json!({"attempt": "attempt-1", "is_new": false}));
}

/// The two spellings of the person's claim.
#[rstest]
#[case::as_one_page_has_it(&[("peopleId", "\"p-2\"")], Some("p-2"))]
#[case::as_another_page_has_it(&[("peopleId", ""), ("personId", "\"p-3\"")], Some("p-3"))]
#[case::both(&[("personId", "\"person-1\"")], None)]
#[case::both_and_different(&[("personId", "\"p-4\"")], None)]
#[case::one_and_null(&[("personId", "null")], None)]
#[case::neither(&[("peopleId", "")], None)]
#[case::empty(&[("peopleId", "\"\"")], None)]
#[case::blank(&[("peopleId", "\" \"")], None)]
#[case::a_placeholder(&[("peopleId", "\"undefined\"")], None)]
#[case::a_number(&[("peopleId", "1")], None)]
#[case::a_list(&[("peopleId", "[\"p-1\"]")], None)]
fn the_person_is_read_from_either_claim(#[case] changed: &[(&str, &str)], #[case] person: Option<&str>) {
    let response = start().send_token(&token(changed));
    match person {
        Some(person) => assert_eq!(Token::of(&response).claims["sub"], person),
        None => response.assert_refused(401, "invalid_token"),
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
#[rstest]
#[case::authorized_as_something_else("isAuthorized", &["", "\"true\"", "1", "null", "[true]", "\"\"", "{}"],
    "invalid_token")]
#[case::of_another_policy("policyId", &["", "\"policy-2\"", "\"Policy-1\"", "null", "[\"policy-1\"]", "1"],
    "invalid_token")]
#[case::no_expiry("exp", &["", "null", "\"@120\"", "true", "-1"], "invalid_token")]
#[case::expired("exp", &["@0", "@-1", "0"], "expired_token")]
#[case::never_issued("iat", &["", "null", "\"0\"", "@60"], "invalid_token")]
#[case::not_yet("nbf", &["@60"], "invalid_token")]
fn an_undocumented_attestation_is_rejected(
    #[case] name: &str,
    #[case] values: &[&str],
    #[case] reason: &str,
) {
    let app = start();
    assert_eq!(app.send_token(&token(&[])).status, 307);
    for value in values {
        let response = app.send_token(&token(&[(name, value)]));
        assert_eq!((response.status, response.reason().as_str()), (401, reason), "{name}: {value}");
        response.assert_no_token();
    }
}

#[test]
fn only_hs256_with_the_client_secret_is_accepted() {
    let (app, claims) = (start(), attestation(&[]));
    assert_eq!(app.send_token(&token(&[])).status, 307);
    let key = Key::shared(SHARED);
    for named in ["HS512", "HS384", "none", "None", "hs256", "RS256", ""] {
        let signed = key.sign(&json!({"alg": named}).to_string(), &claims);
        app.send_token(&signed).assert_refused(401, "invalid_token");
        let (bare, _) = signed.rsplit_once('.').unwrap();
        app.send_token(&format!("{bare}.")).assert_refused(401, "invalid_token");
    }
    for secret in ["", SECRET, "policy-1", &SHARED.to_uppercase(), &format!("{SHARED}\n")] {
        app.send_token(&Key::shared(secret).sign(r#"{"alg":"HS256"}"#, &claims))
            .assert_refused(401, "invalid_token");
    }
    // also with a valid HS512 signature
    let hs512 = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, SHARED.as_bytes());
    let parts = key.sign(r#"{"alg":"HS512"}"#, &claims);
    let (signed, _) = parts.rsplit_once('.').unwrap();
    let signature = aws_lc_rs::hmac::sign(&hs512, signed.as_bytes());
    app.send_token(&format!("{signed}.{}", base64url(signature.as_ref())))
        .assert_refused(401, "invalid_token");
}

#[test]
fn leeway_and_header_are_configurable() {
    let app = App::start_with_identity(
        &format!("{}header = \"X-Attestation\"\nleeway_s = 60", settings(SHARED)),
        BY_ID,
    );
    let send_token = |token: &str| app.get("/pandium-sso", &[("X-Attestation", token)]);
    assert_eq!(send_token(&token(&[("exp", "@-30")])).status, 307);
    send_token(&token(&[("exp", "@-61")])).assert_refused(401, "expired_token");
    app.send_token(&token(&[])).assert_refused(401, "unauthenticated");
}

/// Wrong settings, the setting that is named, and a part of the error.
#[rstest]
#[case::no_secret("kind = \"caf\"\npolicy_id = \"p\"", "identity.client_secret", "")]
#[case::a_short_one(
    "kind = \"caf\"\npolicy_id = \"p\"\nclient_secret = \"short\"",
    "identity.client_secret",
    "32 bytes"
)]
#[case::the_pandium_secret(
    "kind = \"caf\"\npolicy_id = \"p\"\nclient_secret = \"0123456789abcdef0123456789abcdef\"",
    "identity.client_secret",
    "pandium.shared_secret"
)]
#[case::no_policy(
    "kind = \"caf\"\nclient_secret = \"what-caf-and-its-client-alone-know\"",
    "identity.policy_id",
    ""
)]
#[case::an_empty_policy(
    "kind = \"caf\"\npolicy_id = \"\"\nclient_secret = \"what-caf-and-its-client-alone-know\"",
    "identity.policy_id",
    "empty"
)]
#[case::an_email_that_is_never_known(
    "kind = \"caf\"\npolicy_id = \"p\"\nclient_secret = \"what-caf-and-its-client-alone-know\"",
    "claims.sub",
    "sub = \"id\""
)]
fn a_wrong_setting_is_named(#[case] identity: &str, #[case] named: &str, #[case] message: &str) {
    let check = |identity: &str, more: &str| {
        let config = File::new(&format!("{}\n{more}", standard_with(identity)));
        run(&["check", "--config", &config.text()])
    };
    let result = check(identity, "");
    assert_eq!(result.status, 78, "{result:?}");
    assert!(
        result.errors.contains(&format!("{named}: ")) && result.errors.contains(message),
        "{}",
        result.errors
    );
    assert!(!format!("{result:?}").contains("alone-know"), "{result:?}");
    assert_eq!(check(&settings(SHARED), "[claims]\nsub = \"id\"").status, 0);
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
