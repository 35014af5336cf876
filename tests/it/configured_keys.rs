//! Keys and secrets in files or in the configuration: `check` reports those that are
//! weak or unusable.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::issuer::{Key, KeyFile, claims_of, jwks, pem};
use crate::harness::{ALICE, App, SECRET, Settings, Token};

/// Tokens of this algorithm; keys are to be added.
fn bearer(algorithm: &str) -> Settings {
    Settings::bearer().algorithm(algorithm)
}

/// HS256 tokens and their encoded secret.
fn encoded(algorithm: &str, secret: &str, encoding: &str) -> Settings {
    bearer(algorithm).identity("shared_secret", secret).identity("shared_secret_encoding", encoding)
}

/// Clears the upper bits of an RSA modulus so that this many remain.
fn shortened(modulus: &mut [u8], bits: usize) {
    let unused = modulus.len() * 8 - bits;
    modulus[..unused / 8].fill(0);
    modulus[unused / 8] = 0xff >> (unused % 8);
}

#[rstest]
fn rsa_key_size_is_the_modulus_length(#[values(1952, 2040, 2047)] bits: usize) {
    let key = Key::new("RS256");
    let mut jwk = key.jwk(Some("k-1"));
    let mut modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let start = key.der().windows(modulus.len()).position(|window| window == modulus).unwrap();
    let mut der = key.der();
    shortened(&mut modulus, bits);
    shortened(&mut der[start..start + 256], bits);
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode(&modulus));

    let (set, single) = (KeyFile::new(&jwks(&[jwk])), KeyFile::new(&pem("PUBLIC KEY", &der)));
    for (key, file) in [("jwks_file", &set), ("public_key_file", &single)] {
        let settings = bearer("RS256").identity(key, file.path());
        settings.assert_wrong(&format!("identity.{key}"), "fewer than 2048 bits");
    }
}

#[test]
fn leading_zeros_of_an_rsa_modulus_are_ignored() {
    let key = Key::new("RS256");
    let mut jwk = key.jwk(Some("k-1"));
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode([&[0, 0], modulus.as_slice()].concat()));
    jwk["e"] = json!("AAEAAQ");
    let file = KeyFile::new(&jwks(&[jwk]));
    let app = App::start(bearer("RS256").jwks_file(&file));
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
}

/// Members that make a key unusable or insecure.
// T8
#[rstest]
#[case::exponent_one("RS256", json!({"e": "AQ"}), "exponent")]
#[case::even_exponent("RS256", json!({"e": "AQAA"}), "exponent")]
#[case::off_the_curve("ES256", json!({"x": URL_SAFE_NO_PAD.encode([1; 32])}), "not on its curve")]
#[case::off_the_larger_curve("ES384", json!({"y": URL_SAFE_NO_PAD.encode([1; 48])}), "not on its curve")]
#[case::small_order("EdDSA", json!({"x": URL_SAFE_NO_PAD.encode([0; 32])}), "small order")]
#[case::cut("EdDSA", json!({"x": URL_SAFE_NO_PAD.encode([1; 31])}), "right length")]
fn an_unusable_jwk_is_reported(
    #[case] algorithm: &'static str,
    #[case] changed: Value,
    #[case] message: &str,
) {
    let (key, other) = (Key::new(algorithm), Key::new(algorithm));
    let mut jwk = other.jwk(Some("k-2"));
    for (name, value) in changed.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    // in a set with a valid key
    let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1")), jwk]));
    let settings = bearer(algorithm).jwks_file(&file);
    settings.assert_wrong("identity.jwks_file", message);
    file.replace(&jwks(&[key.jwk(Some("k-1"))]));
    assert_eq!(settings.check().status, 0);
}

/// The last bytes of a PEM key, and a part of the message.
#[rstest]
#[case::off_the_curve("ES256", &[0; 32], "not on its curve")]
#[case::small_order("EdDSA", &[0; 32], "small order")]
#[case::even_exponent("RS256", &[0], "exponent")]
fn an_unusable_pem_key_is_reported(
    #[case] algorithm: &'static str,
    #[case] end: &[u8],
    #[case] message: &str,
) {
    let mut der = Key::new(algorithm).der();
    let kept = der.len() - end.len();
    der.truncate(kept);
    der.extend_from_slice(end);
    let file = KeyFile::new(&pem("PUBLIC KEY", &der));
    let settings = bearer(algorithm).identity("public_key_file", file.path());
    settings.assert_wrong("identity.public_key_file", message);
}

#[test]
fn an_unsupported_key_in_a_file_is_a_warning() {
    let key = Key::new("ES256");
    let strange = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "canary", "pub": "AAAA"});
    let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1")), strange]));
    let settings = Settings::bearer().jwks_file(&file);
    let result = settings.check();
    assert_eq!(result.status, 0, "{result:?}");
    let all = format!("{}{}", result.output, result.errors);
    assert!(all.contains("key 2: its kty is not supported") && !all.contains("canary"), "{all}");
    let app = App::start(settings);
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
}

/// A private member and the algorithm of the key.
#[rstest]
fn a_jwks_with_private_members_is_rejected(
    #[values("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")] member: &str,
    #[values("RS256", "ES256", "EdDSA")] algorithm: &'static str,
) {
    let mut private = Key::new(algorithm).jwk(Some("k-2"));
    private[member] = if member == "oth" { json!([]) } else { json!("AQ") };
    let file = KeyFile::new(&jwks(&[Key::new(algorithm).jwk(Some("k-1")), private]));
    bearer(algorithm).jwks_file(&file).assert_wrong("identity.jwks_file", "symmetric or private key");
}

/// An algorithm and the length of its hash in bytes.
#[rstest]
#[case("HS256", 32)]
#[case("HS384", 48)]
#[case("HS512", 64)]
fn a_shared_secret_is_at_least_as_long_as_the_hash(#[case] algorithm: &str, #[case] bytes: usize) {
    let text = |length: usize| bearer(algorithm).identity("shared_secret", "x".repeat(length));
    let hex = |length: usize| encoded(algorithm, &"f0".repeat(length), "hex");
    let message = format!("at least {bytes} bytes");
    text(bytes - 1).assert_wrong("identity.shared_secret", &message);
    // the decoded bytes count, not the digits
    hex(bytes - 1).assert_wrong("identity.shared_secret", &message);
    assert_eq!(text(bytes).check().status, 0);
    assert_eq!(hex(bytes).check().status, 0);
    // the longest hash of several algorithms counts
    let both = text(bytes - 1).identity("algorithms", ["HS256", algorithm]);
    both.assert_wrong("identity.shared_secret", &message);
}

/// Binary secrets in an encoding.
#[rstest]
#[case("hex", "FBFF".to_owned() + &"00".repeat(31))]
#[case("base64", BASE64.encode(BYTES))]
#[case("base64", BASE64.encode(BYTES).trim_end_matches('=').to_owned())]
#[case("base64url", URL_SAFE.encode(BYTES))]
#[case("base64url", URL_SAFE_NO_PAD.encode(BYTES))]
fn a_shared_secret_can_be_encoded_bytes(
    #[case] encoding: &str,
    #[case] written: String,
    #[values(true, false)] in_a_file: bool,
) {
    let file = KeyFile::new(&format!("{written}\n"));
    let settings = encoded("HS256", &written, encoding);
    let app = App::start(match in_a_file {
        true => settings.without("identity.shared_secret").identity("shared_secret_file", file.path()),
        false => settings,
    });
    assert_eq!(app.send_token(&Key::shared(BYTES).token()).status, 307);
    app.send_token(&Key::shared(&written).token()).assert_refused(401, "invalid_token");
}

const BYTES: [u8; 33] = {
    let mut bytes = [0; 33];
    (bytes[0], bytes[1]) = (0xfb, 0xff);
    bytes
};

#[rstest]
#[case::another_alphabet("base64", "-_8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case::half_a_byte("hex", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0")]
#[case::white_space("hex", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f")]
fn a_wrongly_encoded_secret_is_reported(#[case] encoding: &str, #[case] written: &str) {
    let settings = encoded("HS256", written, encoding);
    settings.assert_wrong("identity.shared_secret", &format!("it is not {encoding}"));
    let result = settings.check();
    assert!(!format!("{result:?}").contains(written), "{result:?}");
    encoded("HS256", written, "base58").assert_wrong("identity.shared_secret_encoding", "base64url");
}

#[test]
fn the_pandium_secret_can_be_encoded_bytes() {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let own = "another-secret-of-one-entrance-alone";
    let settings = Settings::standard()
        .set("pandium.shared_secret", hex)
        .set("pandium.shared_secret_encoding", "hex")
        .entrance("own", &Settings::standard())
        .set("entrances.own.pandium.shared_secret", own);
    let app = App::start(settings);
    assert_eq!(Token::of(&app.get("/pandium-sso", ALICE)).claims["sub"], "alice@example.com");
    // an entrance's own secret does not inherit the encoding
    let response = app.get("/own", ALICE);
    assert_eq!(response.status, 307, "{response:?}");
    Token::in_url(response.header("location"), own);
}

#[test]
fn the_caf_secret_can_be_encoded_bytes() {
    let secret = BASE64.encode(BYTES);
    let app = App::start(Settings::caf(&secret).identity("client_secret_encoding", "base64"));
    let defaults = [
        ("peopleId", "\"a\""),
        ("policyId", "\"policy-1\""),
        ("isAuthorized", "true"),
        ("iat", "@0"),
        ("exp", "@60"),
    ];
    let claims = claims_of(&defaults, &[]);
    assert_eq!(app.send_token(&Key::shared(BYTES).sign("{\"alg\":\"HS256\"}", &claims)).status, 307);
    let as_text = Key::shared(&secret).sign("{\"alg\":\"HS256\"}", &claims);
    app.send_token(&as_text).assert_refused(401, "invalid_token");
}
