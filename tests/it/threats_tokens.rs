//! Tokens and keys that are rejected and never echoed.

use std::io::ErrorKind;
use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as STANDARD_BASE64, URL_SAFE, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::json;

use crate::harness::command::run;
use crate::harness::issuer::{
    Key, KeyFile, assert_invalid, claims_with, jwks, key_and_file, without_signature,
};
use crate::harness::{App, Connection, Settings, Token};

// T8
#[test]
fn an_unlisted_algorithm_is_rejected() {
    let key = Key::new("RS256");
    let (app, _file) = App::start_with_key(&key);
    assert_eq!(app.send_token(&key.token()).status, 307);
    let claims = claims_with(&[]);
    for named in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "HS256"] {
        let signed = key.sign(&json!({"alg": named}).to_string(), &claims);
        app.assert_rejected(&signed);
        app.assert_rejected(&without_signature(&signed));
    }
    for named in [json!(null), json!(["RS256"]), json!({"RS256": 1}), json!(256), json!(true)] {
        app.assert_rejected(&key.sign(&json!({"alg": named}).to_string(), &claims));
    }
    for header in ["{}", "[]", "", r#"{"alg":"RS256","alg":"none"}"#, r#"{"alg":"RS256"} x"#] {
        app.assert_rejected(&key.sign(header, &claims));
    }
    for critical in [json!([]), json!(["exp"]), json!(["b64"]), json!(null)] {
        app.assert_rejected(&key.sign(&json!({"alg": "RS256", "crit": critical}).to_string(), &claims));
    }
    // the same key with another algorithm, signed correctly
    app.assert_rejected(&Key::new("PS256").token());
    for other in ["ES256", "ES384", "EdDSA"].map(Key::new) {
        app.assert_rejected(&other.token_with_kid("k-1"));
        app.assert_rejected(&other.sign(r#"{"alg":"RS256","kid":"k-1"}"#, &claims));
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
    let app = App::start(Settings::bearer().algorithm(algorithm).identity(setting, file.path()));
    assert_eq!(app.send_token(&key.token()).status, 307);
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
        app.assert_rejected(&secret.token());
        app.assert_rejected(&secret.token_with_kid("k-1"));
        app.assert_rejected(
            &secret.sign(&json!({"alg": algorithm, "kid": "k-1"}).to_string(), &claims_with(&[])),
        );
    }
}

// T8
#[rstest]
fn a_changed_signature_is_rejected(#[values("RS256", "ES256", "EdDSA")] algorithm: &'static str) {
    let key = Key::new(algorithm);
    let (app, _file) = App::start_with_key(&key);
    let token = key.token();
    assert_eq!(app.send_token(&token).status, 307);
    let (rest, last) = token.split_at(token.len() - 1);
    for other in ('-'..='z').filter(|other| !last.contains(*other)) {
        app.assert_rejected(&format!("{rest}{other}"));
    }
    app.assert_rejected(rest);
    app.assert_rejected(&format!("{token}A"));
    app.assert_rejected(&without_signature(&token));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let length = URL_SAFE_NO_PAD.decode(signature).unwrap().len();
    app.assert_rejected(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(vec![0; length])));
    let another_user = key.token_with(&[("sub", "\"u-2\"")]);
    app.assert_rejected(&format!("{}.{signature}", another_user.rsplit_once('.').unwrap().0));
}

/// `H`, `C` and `S` are replaced by the three parts of a valid token.
// T8
#[test]
fn only_the_compact_serialization_is_accepted() {
    let key = Key::new("ES256");
    let (app, _file) = App::start_with_key(&key);
    let token = key.token();
    assert_eq!(app.send_token(&token).status, 307);
    let parts: Vec<&str> = token.split('.').collect();
    let cases: [&[&str]; 5] = [
        &[
            "H",
            "H.C",
            "H.C.",
            "H.C.S.",
            ".H.C.S",
            "H.C.S.S",
            "H.C.S.H.C",
            "H.H.C.C.S",
            "H..C.S.S",
            "..",
            "H.C.S, H.C.S",
        ],
        &[
            r#"{"protected":"H","payload":"C","signature":"S"}"#,
            r#"["H","C","S"]"#,
            r#""H.C.S""#,
            r#"{"payload":"C","signatures":[{"protected":"H","signature":"S"}]}"#,
        ],
        &[" H.C.S", "\tH.C.S", "H .C.S", "H. C.S", "H.C .S", "H.C. S", "H.C.\tS"],
        &["H=.C.S", "H.C=.S", "H.C==.S", "H.C.S=", "H.C.S==", "H%3D.C.S"],
        &["H%2EC%2ES", "H,C,S", "H:C:S", "H.C.S#", "H.C.S\\"],
    ];
    for texts in cases {
        for text in texts {
            let part = |c: char| "HCS".find(c).map_or(c.to_string(), |at| parts[at].to_owned());
            app.assert_rejected(&text.chars().map(part).collect::<String>());
        }
    }
    app.assert_rejected(&".".repeat(5000));
    // padded, in the standard alphabet, or nested, with valid signatures
    let plain = (json!({"alg": "ES256"}).to_string(), claims_with(&[("name", "\"ÿÿÿ?>~\"")]));
    let padded = [URL_SAFE.encode(&plain.0), URL_SAFE.encode(format!("{} ", plain.1))];
    let standard = [STANDARD_BASE64.encode(&plain.0), STANDARD_BASE64.encode(&plain.1)];
    for form in [padded, standard] {
        assert!(form.iter().any(|part| part.contains(['=', '+', '/'])), "{form:?} is not another form");
        app.assert_rejected(&key.sign_text(&form.join(".")));
    }
    app.assert_rejected(&key.sign(r#"{"alg":"ES256","cty":"JWT"}"#, &token));
}

/// A header member with the attacker's key or its location. `URL` is replaced by that of the
/// attacker's server.
// T9
#[test]
fn keys_named_by_the_token_are_never_used() {
    let (key, attacker) = (Key::new("ES256"), Key::new("ES256"));
    let (app, _file) = App::start_with_key(&key);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let server_address = server.local_addr().unwrap();
    let kids = ["", r#""kid":"k-1","#, r#""kid":"k-2","#];
    for (member, value) in [
        ("jku", "\"URL/jwks.json\""),
        ("x5u", "\"URL/chain.pem\""),
        ("kid", "\"URL/jwks.json\""),
        ("jwk", "JWK"),
        ("x5c", "[\"DER\"]"),
    ] {
        let value = value.replace("JWK", &attacker.jwk(Some("k-1")).to_string());
        let value = value.replace("DER", &STANDARD_BASE64.encode(attacker.der()));
        for scheme in ["http:", "file:", ""] {
            let value = value.replace("URL", &format!("{scheme}//{server_address}"));
            for kid in &kids[..if member == "kid" { 1 } else { 3 }] {
                let header = format!(r#"{{"alg":"ES256",{kid}{member:?}:{value}}}"#);
                app.assert_rejected(&attacker.sign(&header, &claims_with(&[])));
                // the member does not change which key is selected
                let is_accepted = !kid.contains("k-2") && member != "kid";
                let response = app.send_token(&key.sign(&header, &claims_with(&[])));
                assert_eq!(response.status, if is_accepted { 307 } else { 401 }, "{header}");
            }
        }
    }
    app.log_lines();
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "a connection was made");

    // positive control: the server sees connections
    let _connection = Connection::open(server_address).unwrap();
    server.set_nonblocking(false).unwrap();
    server.accept().unwrap();
}

// T9
#[test]
fn a_kid_is_only_compared() {
    let key = Key::new("ES256");
    let (app, _file) = App::start_with_key(&key);
    let long = "k".repeat(10 * 1024);
    let paths = "../../dev/null /dev/null file:///dev/null k-1/../k-1 K-1 %6b-1";
    let commands = ["k-1' OR '1'='1", "|touch pwned", "$(touch pwned)", "k-1\0", "k-1\n"];
    for kid in paths.split(' ').chain(commands).chain([long.as_str(), ""]) {
        app.assert_rejected(&key.token_with_kid(kid));
        for secret in ["", "\0", "AAA", kid] {
            app.assert_rejected(&Key::shared(secret).token_with_kid(kid));
        }
    }
    for other in [json!(null), json!(1), json!(["k-1"]), json!({"k-1": "k-1"})] {
        app.assert_rejected(&key.sign(&json!({"alg": "ES256", "kid": other}).to_string(), &claims_with(&[])));
    }
    app.log_lines();
    assert!(!app.output().contains("dev/null") && !app.output().contains("pwned"));
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
}

/// A claim and its invalid values, as in [`claims_of`](crate::harness::issuer::claims_of).
// T10
#[test]
fn invalid_registered_claims_are_rejected() {
    let key = Key::new("EdDSA");
    let (app, _file) = App::start_with_key(&key);
    let good = key.token_with(&[("aud", "[\"a\",\"the-marketplace\"]"), ("nbf", "@0")]);
    assert_eq!(app.send_token(&good).status, 307);
    let cases = [
        ("exp", "@0|@-1|@-100000|0|1|0.5", "expired_token"),
        ("exp", r#"|"@300"|"9999999999"|true|null|1e400|NaN|-1|-1e300|Infinity"#, "invalid_token"),
        ("exp", "[9999999999]|{}|1e300|0x7fffffffff|09999999999", "invalid_token"),
        ("nbf", r#"@60|9999999999|"0"|true|null|-1|1e400"#, "invalid_token"),
        ("iat", r#"@60|9999999999|"0"|true|null|-1|1e400"#, "invalid_token"),
        ("iss", r#"|null|1|true|""|["https://login.example.com/"]"#, "invalid_token"),
        ("iss", r#""https://login.example.com"|"https://login.example.com//""#, "invalid_token"),
        ("iss", r#""HTTPS://login.example.com/"|" https://login.example.com/""#, "invalid_token"),
        ("iss", r#""https://login.example.com/\u0000""#, "invalid_token"),
        ("iss", r#""https://login.example.com.evil.example/""#, "invalid_token"),
        ("iss", r#""https://login.example.com/","iss":"https://login.example.com/""#, "invalid_token"),
        ("iss", r#""https://evil.example/","iss":"https://login.example.com/""#, "invalid_token"),
        ("iss", r#""https://evil.example/","i\u0073s":"https://login.example.com/""#, "invalid_token"),
        ("aud", r#"|null|1|true|""|[]|[["the-marketplace"]]|["the-marketplace", 1]"#, "invalid_token"),
        ("aud", r#"{"the-marketplace":1}|"the-marketplace/"|"The-Marketplace""#, "invalid_token"),
        ("aud", r#""the-marketplace "|"the"|"*"|"other,the-marketplace"|["other"]"#, "invalid_token"),
        ("aud", r#""other","aud":"the-marketplace""#, "invalid_token"),
        ("sub", r#"|null|1|true|""|" "|"null"|"undefined"|["u-1"]|"u-1","sub":"u-2""#, "invalid_token"),
    ];
    assert_invalid(&cases, |name, value| app.send_token(&key.token_with(&[(name, value)])));
}

/// The content of an invalid JWKS file, and a part of the error.
// T11
#[test]
fn an_invalid_jwks_file_is_never_used() {
    let (key, canary) = (Key::new("ES256"), "c2VjcmV0LWtleS1vZi10aGUtaXNzdWVy");
    let ours = key.jwk(Some("k-1"));
    let keys = [canary, ours["x"].as_str().unwrap(), ours["y"].as_str().unwrap()];
    let quotes_a_key = |text: &str| keys.iter().any(|key| text.contains(key));
    let file = KeyFile::new(&jwks(std::slice::from_ref(&ours)));
    let settings = Settings::bearer().jwks_file(&file);
    let app = App::start(settings.clone());
    let cases: [(&str, &str); 11] = [
        (&format!("{{\"keys\":[OURS],\"x\":\"{}\"}}", "x".repeat(1 << 20)), "larger than 262144 bytes"),
        (&format!("{{\"keys\":[OURS{}]}}", ",{\"kty\":\"EC\"}".repeat(9_999)), "more than 100 keys"),
        ("{\"keys\":[OURS,{\"kty\":\"oct\",\"kid\":\"k-2\",\"k\":\"CANARY\"}]}", "symmetric"),
        ("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"CANARY\",\"d\":\"CANARY\"}]}", "private"),
        ("{\"keys\":[OURS,OURS]}", "two keys with the same kid"),
        ("{\"keys\":[OURS", "not a JSON Web Key Set"),
        ("-----BEGIN PRIVATE KEY-----\nCANARY", "not a JSON Web Key Set"),
        ("OURS", "not a JSON Web Key Set"),
        ("\"CANARY\"", "not a JSON Web Key Set"),
        ("{\"keys\":[\"CANARY\"]}", "not a JSON Web Key Set"),
        ("", "not a JSON Web Key Set"),
    ];
    for (text, message) in cases {
        let text = text.replace("OURS", &ours.to_string()).replace("CANARY", canary);
        file.replace(&text);
        let before = app.log_lines().len();
        app.reload_refused();
        assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307, "{message}");
        let logged = format!("{:?}", &app.log_lines()[before..]);
        assert!(logged.contains(message), "{message} is missing: {logged}");

        let config = settings.file();
        for command in ["check", "serve"] {
            let result = run(&[command, "--config", &config.text()]);
            assert_eq!(result.status, 78, "{result:?}");
            let is_named = result.errors.contains("identity.jwks_file: ") && result.errors.contains(message);
            assert!(is_named, "{message} is missing: {}", result.errors);
            assert!(!quotes_a_key(&format!("{result:?}")), "{result:?}");
        }
    }
    assert!(!quotes_a_key(&app.output()), "{}", app.output());
}

// T22
#[rstest]
fn tokens_are_never_logged_or_echoed(
    #[values("json", "text")] format: &str,
    #[values("info", "trace")] level: &str,
) {
    let (key, file) = key_and_file();
    let settings = Settings::bearer()
        .jwks_file(&file)
        .set("log.format", format)
        .set("log.level", level)
        .set("claims.meta.rank", "(token.rank or 0)|int")
        .set("claims.meta.note", "token.note");
    let app = App::start(settings);
    let with = |changed: &[(&str, &str)]| key.token_with(&[&[("note", "\"canary\"")], changed].concat());
    let tokens = [
        (with(&[]), ""),
        (with(&[("exp", "@-1")]), "expired_token"),
        (with(&[("rank", "\"canary-rank\"")]), "internal"),
        (with(&[("email", "\"canary@a@b.example\"")]), "bad_identity"),
        (with(&[("iss", "\"canary-issuer\"")]), "invalid_token"),
        (key.token_with_kid("canary-kid"), "invalid_token"),
        (Key::new("ES256").token(), "invalid_token"),
        ("canary-header.canary-claims.canary-signature".to_owned(), "invalid_token"),
        (key.sign("{\"alg\":\"canary-alg\"}", "{\"canary-json\""), "invalid_token"),
    ];
    let mut written = String::new();
    for (token, reason) in &tokens {
        let value = format!("Bearer {token}");
        let response = app.send_token(token);
        assert_eq!(response.reason(), *reason, "{token}");
        let page = app.get("/pandium-sso", &[("Authorization", &value), ("Accept", "text/html")]);
        for response in [response, page] {
            written += &format!("{}{:?}{}", response.status, response.headers, response.text());
        }
        app.get(&format!("/nowhere?token={token}"), &[("Authorization", &value), ("Cookie", token)]);
    }
    // mapped claims are sent to the marketplace
    assert_eq!(Token::of(&app.send_token(&tokens[0].0)).claims["meta"]["note"], "canary");
    written += &app.admin("/metrics").text();
    app.log_lines();
    written += &app.output();
    assert!(written.len() > 5_000);
    let parts = tokens.iter().flat_map(|(token, _)| token.split('.')).chain(["canary"]);
    for part in parts.filter(|part| !part.is_empty()) {
        assert!(!written.contains(part), "{part} is in {written}");
    }
}
