//! `inspect` with tokens of other issuers: which entrances accept one, and why the
//! others do not.

use serde_json::json;

use crate::harness::command::{File, run};
use crate::harness::issuer::{Key, claims_with, jwks};
use crate::harness::{SECRET, Settings, Token};
use marketplace_sso::playground::stand_ins::{Behaviour, KeyServer};

const SECRET_OF_CAF: &str = "a-secret-that-caf-and-we-alone-know";

/// Three entrances for tokens in addition to the main one; the keys of `shop` are on a server.
fn configuration(keys: &KeyServer) -> File {
    let shop = Settings::appdirect().algorithm("ES256").jwks_url(&format!("{}/keys", keys.origin()));
    let settings = Settings::standard()
        .set("claims.sub", "id or email")
        .entrance("shop", &shop)
        .entrance("people", &Settings::caf(SECRET_OF_CAF))
        .entrance("center", &Settings::commercetools(&keys.origin()));
    settings.file()
}

fn line_of<'a>(output: &'a str, entrance: &str) -> &'a str {
    output.lines().find(|line| line.contains(&format!("{entrance} ("))).unwrap_or_default()
}

#[test]
fn inspect_reports_which_entrances_accept_a_token() {
    let key = Key::new("ES256");
    let set = jwks(&[key.jwk(None)]);
    let keys = KeyServer::start(Behaviour::Serve(vec![("/keys".into(), set)])).unwrap();
    let config = configuration(&keys);
    let token = key.token_with(&[("aud", ""), ("tenant", "\"ACME\""), ("name", "\"alice@example.com\"")]);
    let inspected = run(&["inspect", "--config", &config.text(), &token]);
    assert_eq!(inspected.status, 0, "{inspected:?}");
    assert!(line_of(&inspected.output, "shop").contains("ACCEPTED"), "{}", inspected.output);
    assert!(line_of(&inspected.output, "shop").contains("id u-1, email alice@example.com"));
    for other in ["people", "center"] {
        assert!(line_of(&inspected.output, other).contains("refused"), "{}", inspected.output);
        assert!(line_of(&inspected.output, other).contains("algorithm"), "{}", inspected.output);
    }
    assert!(inspected.output.contains("the subject: the issuer"), "{}", inspected.output);
    assert!(!inspected.output.contains("known rules"), "{}", inspected.output);
}

#[test]
fn mint_works_for_a_user_without_an_email() {
    let keys = KeyServer::start(Behaviour::Down).unwrap();
    let config = configuration(&keys);
    let path = config.text();
    let mint = |more: &[&str]| run(&[&["mint", "--config", &path, "--entrance", "center"], more].concat());
    let minted = mint(&["--id", "u-1", "--set", "attributes.project_key=acme"]);
    let claims = Token::in_url(minted.output.trim(), SECRET).claims;
    assert_eq!((&claims["sub"], claims.get("ti")), (&json!("u-1"), None), "no claim is invented");
    assert_eq!(mint(&[]).status, 2);
}

#[test]
fn an_unacceptable_token_fails_with_every_reason() {
    let keys = KeyServer::start(Behaviour::Down).unwrap();
    let config = configuration(&keys);
    let now = claims_with(&[("aud", ""), ("policyId", "\"p-2\""), ("isAuthorized", "true")]);
    let token = Key::shared(SECRET_OF_CAF).sign(&json!({"alg": "HS256"}).to_string(), &now);
    let inspected = run(&["inspect", "--config", &config.text(), &token]);
    assert_eq!(inspected.status, 1, "{inspected:?}");
    assert!(line_of(&inspected.output, "people").contains("invalid_token"), "{}", inspected.output);
    assert!(line_of(&inspected.output, "people").contains("policyId"), "{}", inspected.output);
    assert!(inspected.errors.contains("neither the marketplace nor any entrance"), "{}", inspected.errors);

    let of_the_shop = Key::new("ES256").token();
    let inspected = run(&["inspect", "--config", &config.text(), &of_the_shop]);
    assert!(line_of(&inspected.output, "shop").contains("keys_unavailable"), "{}", inspected.output);
    // the rules for marketplace tokens are not applied to it
    assert!(inspected.output.contains("not for the marketplace"), "{}", inspected.output);
    assert!(!inspected.output.contains("known rules"), "{}", inspected.output);
    assert_eq!(run(&["inspect", "--config", &config.text(), &format!("Bearer {of_the_shop}")]), inspected);
}
