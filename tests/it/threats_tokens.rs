//! Tokens and keys that must never be believed, and what is never repeated of
//! them.

use std::io::ErrorKind;
use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as STANDARD_BASE64, URL_SAFE, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::json;

use crate::harness::command::{File, run};
use crate::harness::issuer::{
    Key, KeyFile, claims_with, jwks, key_and_file, standard_with, way_in, without_signature,
};
use crate::harness::{App, Connection, Token};

// T8
#[test]
fn an_unlisted_algorithm_is_rejected() {
    let key = Key::new("RS256");
    let (app, _file) = App::start_believing(&key);
    assert_eq!(app.bring(&key.token()).status, 307);
    let claims = claims_with(&[]);
    for named in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "HS256"] {
        let signed = key.sign(&json!({"alg": named}).to_string(), &claims);
        app.refuses(&signed);
        app.refuses(&without_signature(&signed));
    }
    for named in [json!(null), json!(["RS256"]), json!({"RS256": 1}), json!(256), json!(true)] {
        app.refuses(&key.sign(&json!({"alg": named}).to_string(), &claims));
    }
    for header in ["{}", "[]", "", r#"{"alg":"RS256","alg":"none"}"#, r#"{"alg":"RS256"} x"#] {
        app.refuses(&key.sign(header, &claims));
    }
    for critical in [json!([]), json!(["exp"]), json!(["b64"]), json!(null)] {
        app.refuses(&key.sign(&json!({"alg": "RS256", "crit": critical}).to_string(), &claims));
    }
    // the same key, another of its algorithms, properly signed
    app.refuses(&Key::new("PS256").token());
    for other in ["ES256", "ES384", "EdDSA"].map(Key::new) {
        app.refuses(&other.token_named("k-1"));
        app.refuses(&other.sign(r#"{"alg":"RS256","kid":"k-1"}"#, &claims));
    }
}

// T8
#[rstest]
fn a_public_key_is_not_an_hmac_secret(
    #[values("RS256", "ES256", "EdDSA")] algorithm: &'static str,
    #[values("public_key_file", "jwks_file")] setting: &str,
) {
    let key = Key::new(algorithm);
    let (pem, jwk) = (key.pem(), key.jwk(Some("k-1")));
    let set = jwks(std::slice::from_ref(&jwk));
    let file = KeyFile::new(if setting == "jwks_file" { &set } else { &pem });
    let app = App::start_with_identity(&way_in(algorithm, &file.setting(setting)), "");
    assert_eq!(app.bring(&key.token()).status, 307);
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap();
    let secrets = [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().into_bytes(),
        key.der(),
        key.public(),
        jwk.to_string().into_bytes(),
        part("n"),
        part("x"),
    ];
    for secret in secrets {
        let secret = Key::shared(secret);
        app.refuses(&secret.token());
        app.refuses(&secret.token_named("k-1"));
        app.refuses(&secret.sign(&json!({"alg": algorithm, "kid": "k-1"}).to_string(), &claims_with(&[])));
    }
}

// T8
#[rstest]
fn a_changed_signature_is_rejected(#[values("RS256", "ES256", "EdDSA")] algorithm: &'static str) {
    let key = Key::new(algorithm);
    let (app, _file) = App::start_believing(&key);
    let token = key.token();
    assert_eq!(app.bring(&token).status, 307);
    let (rest, last) = token.split_at(token.len() - 1);
    for other in ('-'..='z').filter(|other| !last.contains(*other)) {
        app.refuses(&format!("{rest}{other}"));
    }
    app.refuses(rest);
    app.refuses(&format!("{token}A"));
    app.refuses(&without_signature(&token));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let length = URL_SAFE_NO_PAD.decode(signature).unwrap().len();
    app.refuses(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(vec![0; length])));
    let another_user = key.token_with(&[("sub", "\"u-2\"")]);
    app.refuses(&format!("{}.{signature}", another_user.rsplit_once('.').unwrap().0));
}

/// Texts in which `H`, `C` and `S` stand for the three parts of a good token.
// T8
#[rstest]
#[case::another_count_of_parts(&["H", "H.C", "H.C.", "H.C.S.", ".H.C.S", "H.C.S.S", "H.C.S.H.C", "H.H.C.C.S",
    "H..C.S.S", "..", "H.C.S, H.C.S"])]
#[case::as_json(&[r#"{"protected":"H","payload":"C","signature":"S"}"#, r#"["H","C","S"]"#, r#""H.C.S""#,
    r#"{"payload":"C","signatures":[{"protected":"H","signature":"S"}]}"#])]
#[case::white_space(&[" H.C.S", "\tH.C.S", "H .C.S", "H. C.S", "H.C .S", "H.C. S", "H.C.\tS"])]
#[case::padding(&["H=.C.S", "H.C=.S", "H.C==.S", "H.C.S=", "H.C.S==", "H%3D.C.S"])]
#[case::other_dots(&["H%2EC%2ES", "H,C,S", "H:C:S", "H.C.S#", "H.C.S\\"])]
fn only_the_compact_serialization_is_accepted(#[case] texts: &[&str]) {
    let key = Key::new("ES256");
    let (app, _file) = App::start_believing(&key);
    let token = key.token();
    assert_eq!(app.bring(&token).status, 307);
    let parts: Vec<&str> = token.split('.').collect();
    for text in texts {
        let part = |c: char| "HCS".find(c).map_or(c.to_string(), |at| parts[at].to_owned());
        app.refuses(&text.chars().map(part).collect::<String>());
    }
    app.refuses(&".".repeat(5000));
    // padded, in the other alphabet, or nested, and properly signed as that
    let plain = (json!({"alg": "ES256"}).to_string(), claims_with(&[("name", "\"ÿÿÿ?>~\"")]));
    let padded = [URL_SAFE.encode(&plain.0), URL_SAFE.encode(format!("{} ", plain.1))];
    let standard = [STANDARD_BASE64.encode(&plain.0), STANDARD_BASE64.encode(&plain.1)];
    for form in [padded, standard] {
        assert!(form.iter().any(|part| part.contains(['=', '+', '/'])), "{form:?} proves nothing");
        app.refuses(&key.sign_text(&form.join(".")));
    }
    app.refuses(&key.sign(r#"{"alg":"ES256","cty":"JWT"}"#, &token));
}

/// A member of the header that names or holds the attacker's key. `URL` stands
/// for the attacker's server.
// T9
#[rstest]
#[case::jku("jku", "\"URL/jwks.json\"")]
#[case::x5u("x5u", "\"URL/chain.pem\"")]
#[case::both_in_one("kid", "\"URL/jwks.json\"")]
#[case::jwk("jwk", "JWK")]
#[case::x5c("x5c", "[\"DER\"]")]
fn keys_named_by_the_token_are_never_used(#[case] member: &str, #[case] value: &str) {
    let (key, attacker) = (Key::new("ES256"), Key::new("ES256"));
    let (app, _file) = App::start_believing(&key);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let place = server.local_addr().unwrap();
    let value = value.replace("JWK", &attacker.jwk(Some("k-1")).to_string());
    let value = value.replace("DER", &STANDARD_BASE64.encode(attacker.der()));
    let kids = ["", r#""kid":"k-1","#, r#""kid":"k-2","#];
    for url in [format!("http://{place}"), format!("file://{place}"), format!("//{place}")] {
        let value = value.replace("URL", &url);
        for kid in &kids[..if member == "kid" { 1 } else { 3 }] {
            let header = format!(r#"{{"alg":"ES256",{kid}{member:?}:{value}}}"#);
            app.refuses(&attacker.sign(&header, &claims_with(&[])));
            // it has no effect on the key chosen
            let believed = !kid.contains("k-2") && member != "kid";
            let answer = app.bring(&key.sign(&header, &claims_with(&[])));
            assert_eq!(answer.status, if believed { 307 } else { 401 }, "{header}");
        }
    }
    app.lines();
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody has connected");

    // the server would have seen it
    let _connection = Connection::open(place).unwrap();
    server.set_nonblocking(false).unwrap();
    server.accept().unwrap();
}

// T9
#[test]
fn a_kid_is_only_compared() {
    let key = Key::new("ES256");
    let (app, _file) = App::start_believing(&key);
    let long = "k".repeat(10 * 1024);
    let paths = "../../dev/null /dev/null file:///dev/null k-1/../k-1 K-1 %6b-1";
    let commands = ["k-1' OR '1'='1", "|touch pwned", "$(touch pwned)", "k-1\0", "k-1\n"];
    for kid in paths.split(' ').chain(commands).chain([long.as_str(), ""]) {
        app.refuses(&key.token_named(kid));
        for secret in ["", "\0", "AAA", kid] {
            app.refuses(&Key::shared(secret).token_named(kid));
        }
    }
    for other in [json!(null), json!(1), json!(["k-1"]), json!({"k-1": "k-1"})] {
        app.refuses(&key.sign(&json!({"alg": "ES256", "kid": other}).to_string(), &claims_with(&[])));
    }
    app.lines();
    assert!(!app.output().contains("dev/null") && !app.output().contains("pwned"));
    assert_eq!(app.bring(&key.token_named("k-1")).status, 307);
}

/// A claim, and what is written as its value, as `claims_with` has it.
// T10
#[rstest]
#[case::expired("exp", &["@0", "@-1", "@-100000", "0", "1", "0.5"], "expired_token")]
#[case::no_expiry("exp", &["", "\"@300\"", "\"9999999999\"", "true", "null", "1e400", "NaN", "-1", "-1e300",
    "Infinity", "[9999999999]", "{}", "1e300", "0x7fffffffff", "09999999999"], "invalid_token")]
#[case::not_before("nbf", &["@60", "9999999999", "\"0\"", "true", "null", "-1", "1e400"], "invalid_token")]
#[case::issued_later("iat", &["@60", "9999999999", "\"0\"", "true", "null", "-1", "1e400"], "invalid_token")]
#[case::issuer("iss", &["", "null", "1", "true", "\"\"", "[\"https://login.example.com/\"]",
    "\"https://login.example.com\"", "\"https://login.example.com//\"", "\"HTTPS://login.example.com/\"",
    "\" https://login.example.com/\"", "\"https://login.example.com/\\u0000\"",
    "\"https://login.example.com.evil.example/\"",
    "\"https://login.example.com/\",\"iss\":\"https://login.example.com/\"",
    "\"https://evil.example/\",\"iss\":\"https://login.example.com/\"",
    "\"https://evil.example/\",\"i\\u0073s\":\"https://login.example.com/\""], "invalid_token")]
#[case::audience("aud", &["", "null", "1", "true", "\"\"", "[]", "[[\"the-marketplace\"]]",
    "[\"the-marketplace\", 1]", "{\"the-marketplace\":1}", "\"the-marketplace/\"", "\"The-Marketplace\"",
    "\"the-marketplace \"", "\"the\"", "\"*\"", "\"other,the-marketplace\"", "[\"other\"]",
    "\"other\",\"aud\":\"the-marketplace\""], "invalid_token")]
#[case::subject("sub", &["", "null", "1", "true", "\"\"", "\" \"", "\"null\"", "\"undefined\"", "[\"u-1\"]",
    "\"u-1\",\"sub\":\"u-2\""], "invalid_token")]
fn invalid_registered_claims_are_rejected(#[case] name: &str, #[case] values: &[&str], #[case] reason: &str) {
    let key = Key::new("EdDSA");
    let (app, _file) = App::start_believing(&key);
    let good = key.token_with(&[("aud", "[\"a\",\"the-marketplace\"]"), ("nbf", "@0")]);
    assert_eq!(app.bring(&good).status, 307);
    for value in values {
        let answer = app.bring(&key.token_with(&[(name, value)]));
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason), "{name}: {value}");
        answer.assert_no_token();
    }
}

/// What stands in the file instead of a proper set, and what is said of it.
// T11
#[rstest]
#[case::too_large(&format!("{{\"keys\":[OURS],\"x\":\"{}\"}}", "x".repeat(1 << 20)), "larger than 262144 bytes")]
#[case::too_many(&format!("{{\"keys\":[OURS{}]}}", ",{\"kty\":\"EC\"}".repeat(9_999)), "more than 100 keys")]
#[case::a_secret_within("{\"keys\":[OURS,{\"kty\":\"oct\",\"kid\":\"k-2\",\"k\":\"CANARY\"}]}", "symmetric")]
#[case::a_private_key(
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"CANARY\",\"d\":\"CANARY\"}]}",
    "private"
)]
#[case::two_of_one_kid("{\"keys\":[OURS,OURS]}", "two keys of one kid")]
#[case::cut_off("{\"keys\":[OURS", "not a JSON Web Key Set")]
#[case::no_json("-----BEGIN PRIVATE KEY-----\nCANARY", "not a JSON Web Key Set")]
#[case::not_a_set("OURS", "not a JSON Web Key Set")]
#[case::a_text("\"CANARY\"", "not a JSON Web Key Set")]
#[case::texts("{\"keys\":[\"CANARY\"]}", "not a JSON Web Key Set")]
#[case::nothing("", "not a JSON Web Key Set")]
fn an_invalid_jwks_file_is_never_used(#[case] text: &str, #[case] told: &str) {
    let (key, canary) = (Key::new("ES256"), "c2VjcmV0LWtleS1vZi10aGUtaXNzdWVy");
    let ours = key.jwk(Some("k-1"));
    let text = text.replace("OURS", &ours.to_string()).replace("CANARY", canary);
    let keys = [canary, ours["x"].as_str().unwrap(), ours["y"].as_str().unwrap()];
    let quotes_a_key = |text: &str| keys.iter().any(|key| text.contains(key));

    let (app, file) = App::start_believing(&key);
    file.replace(&text);
    app.wait_for_metric("marketplace_sso_config_reloads_total", &[("result", "refused")], 1.0);
    assert_eq!(app.bring(&key.token_named("k-1")).status, 307);
    app.lines();
    assert!(app.output().contains(told) && !quotes_a_key(&app.output()), "{}", app.output());

    let config = File::new(&standard_with(&way_in("ES256", &file.setting("jwks_file"))));
    for command in ["check", "serve"] {
        let ran = run(&[command, "--config", &config.text()]);
        assert_eq!(ran.status, 78, "{ran:?}");
        assert!(ran.errors.contains("identity.jwks_file: ") && ran.errors.contains(told), "{}", ran.errors);
        assert!(!quotes_a_key(&format!("{ran:?}")), "{ran:?}");
    }
}

// T22
#[rstest]
fn tokens_are_never_logged_or_echoed(
    #[values("json", "text")] format: &str,
    #[values("info", "trace")] level: &str,
) {
    let (key, file) = key_and_file();
    let claims = "[claims.meta]\nrank = \"(token.rank or 0)|int\"\nnote = \"token.note\"";
    let way_in = way_in("ES256", &file.setting("jwks_file"));
    let app = App::start_with_identity(
        &way_in,
        &format!("{claims}\n[log]\nformat = {format:?}\nlevel = {level:?}"),
    );
    let with = |changed: &[(&str, &str)]| key.token_with(&[&[("note", "\"canary\"")], changed].concat());
    let brought = [
        (with(&[]), ""),
        (with(&[("exp", "@-1")]), "expired_token"),
        (with(&[("rank", "\"canary-rank\"")]), "internal"),
        (with(&[("email", "\"canary@a@b.example\"")]), "bad_identity"),
        (with(&[("iss", "\"canary-issuer\"")]), "invalid_token"),
        (key.token_named("canary-kid"), "invalid_token"),
        (Key::new("ES256").token(), "invalid_token"),
        ("canary-header.canary-claims.canary-signature".to_owned(), "invalid_token"),
        (key.sign("{\"alg\":\"canary-alg\"}", "{\"canary-json\""), "invalid_token"),
    ];
    let mut written = String::new();
    for (token, reason) in &brought {
        let value = format!("Bearer {token}");
        let answer = app.bring(token);
        assert_eq!(answer.reason(), *reason, "{token}");
        let page = app.get("/pandium-sso", &[("Authorization", &value), ("Accept", "text/html")]);
        written += &format!("{answer:?}{}{page:?}{}", answer.text(), page.text());
        app.get(&format!("/nowhere?token={token}"), &[("Authorization", &value), ("Cookie", token)]);
    }
    // what was handed on to the marketplace is its own
    assert_eq!(Token::of(&app.bring(&brought[0].0)).claims["meta"]["note"], "canary");
    written += &app.admin("/metrics").text();
    app.lines();
    written += &app.output();
    assert!(written.len() > 5_000);
    let parts = brought.iter().flat_map(|(token, _)| token.split('.')).chain(["canary"]);
    for part in parts.filter(|part| !part.is_empty()) {
        assert!(!written.contains(part), "{part} is in {written}");
    }
}
