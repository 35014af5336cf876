//! Bearer tokens: every algorithm and key format, the mapping of claims, and the
//! responses to absent and invalid tokens.

use rstest::rstest;
use serde_json::json;

use crate::harness::issuer::{Key, KeyFile, jwks, key_and_file};
use crate::harness::{App, Field, SECRET, Settings, Token};

const ORIGIN: Field<'static> = ("Origin", "https://app.example.com");
const STRANGER: Field<'static> = ("Origin", "https://evil.example.com");
const JSON: Field<'static> = ("Accept", "application/json");

#[rstest]
fn kid_selects_the_verification_key(
    #[values("RS256", "PS256", "ES256", "ES384", "EdDSA")] algorithm: &'static str,
) {
    let (key, other, third) = (Key::new(algorithm), Key::new("ES256"), Key::new("EdDSA"));
    let file = KeyFile::new(&jwks(&[other.jwk(Some("k-1")), key.jwk(Some("k-2")), third.jwk(Some("k-3"))]));
    let app = App::start(Settings::bearer().algorithm(algorithm).jwks_file(&file));
    assert_eq!(Token::of(&app.send_token(&key.token_with_kid("k-2"))).claims["external_id"], "u-1");
    for kid in ["k-1", "k-3", "k-4", "K-2", ""] {
        app.send_token(&key.token_with_kid(kid)).assert_refused(401, "invalid_token");
    }
}

#[rstest]
fn a_single_key_needs_no_kid(
    #[values("RS256", "PS256", "ES256", "ES384", "EdDSA")] algorithm: &'static str,
    #[values(true, false)] is_named: bool,
) {
    let key = Key::new(algorithm);
    let file = KeyFile::new(&jwks(&[key.jwk(is_named.then_some("k-1"))]));
    let app = App::start(Settings::bearer().algorithm(algorithm).jwks_file(&file));
    assert_eq!(app.send_token(&key.token()).status, 307);
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, if is_named { 307 } else { 401 });

    // a PEM key has no kid
    file.replace(&key.pem());
    let settings = Settings::bearer().algorithm(algorithm).identity("public_key_file", file.path());
    let app = App::start(settings);
    assert_eq!(app.send_token(&key.token()).status, 307);
    assert_eq!(app.send_token(&key.token_with_kid("any")).status, 307);
}

#[test]
fn several_keys_require_a_kid() {
    let keys = [Key::new("ES256"), Key::new("ES256")];
    let file = KeyFile::new(&jwks(&[keys[0].jwk(Some("k-1")), keys[1].jwk(Some("k-2"))]));
    let app = App::start(Settings::bearer().jwks_file(&file));
    assert_eq!(app.send_token(&keys[0].token_with_kid("k-1")).status, 307);
    app.send_token(&keys[0].token()).assert_refused(401, "invalid_token");
}

#[rstest]
#[case::in_the_configuration(false)]
#[case::in_a_file(true)]
fn a_shared_secret_verifies_hs256(#[case] in_a_file: bool) {
    const SHARED: &str = "a-secret-of-the-issuer-and-of-us-alone";
    let file = KeyFile::new(SHARED);
    let settings = Settings::bearer().algorithm("HS256");
    let app = App::start(match in_a_file {
        true => settings.identity("shared_secret_file", file.path()),
        false => settings.identity("shared_secret", SHARED),
    });
    assert_eq!(app.send_token(&Key::shared(SHARED).token()).status, 307);
    for other in [SECRET, &SHARED.to_uppercase(), ""] {
        app.send_token(&Key::shared(other).token()).assert_refused(401, "invalid_token");
    }
}

#[test]
fn claims_map_to_user_fields() {
    let key = Key::new("ES256");
    let file = KeyFile::new(&jwks(&[key.jwk(None)]));
    let app = App::start(Settings::bearer().jwks_file(&file).toml(
        r#"
        [identity.user]
        id = "employee"
        name = "given_name ~ ' ' ~ family_name"
        groups = "realm_access.roles"
        organization.id = "org.id"
        organization.name = "org.name"
        attributes.plan = "custom['https://x/plan']"
        [claims.meta]
        groups = "groups"
        plan = "attributes.plan"
        region = "token.region"
        username = "username"
        "#,
    ));
    let token = key.token_with(&[
        ("employee", "42"),
        ("email", r#""alice@example.com""#),
        ("given_name", r#""Alice""#),
        ("family_name", r#""Ä""#),
        ("preferred_username", r#""alice""#),
        ("realm_access", r#"{"roles":["staff","ops"]}"#),
        ("org", r#"{"id":"org-1","name":"Org & Co"}"#),
        ("custom", r#"{"https://x/plan":"pro"}"#),
        ("region", r#""eu""#),
    ]);
    let claims = Token::of(&app.send_token(&token)).claims;
    assert_eq!((&claims["external_id"], &claims["sub"]), (&json!("42"), &json!("alice@example.com")));
    let meta = json!({"groups": ["staff", "ops"], "plan": "pro", "region": "eu", "username": "alice"});
    assert_eq!(claims["meta"], meta);
    for (name, value) in [("ufn", "Alice Ä"), ("aid", "org-1"), ("adn", "Org & Co")] {
        assert_eq!(claims["ti"][name], value, "{}", claims["ti"]);
    }
}

#[test]
fn a_token_is_read_from_a_cookie() {
    let (key, file) = key_and_file();
    let app = App::start(Settings::bearer().jwks_file(&file).identity("cookie", "session"));
    let token = key.token();
    let request = |headers: &[Field<'_>]| app.get("/pandium-sso", headers);
    assert_eq!(request(&[("Cookie", &format!("a=b; session={token}; c=d"))]).status, 307);
    request(&[("Cookie", &format!("Session={token}"))]).assert_refused(401, "unauthenticated");
    request(&[("Authorization", &format!("Bearer {token}"))]).assert_refused(401, "unauthenticated");
    request(&[("Cookie", "session=")]).assert_refused(401, "unauthenticated");
    request(&[("Cookie", "session=x")]).assert_refused(401, "invalid_token");
    let twice = format!("session={token}; session={token}");
    request(&[("Cookie", &twice)]).assert_refused(400, "ambiguous_identity");
}

#[test]
fn a_token_is_read_from_another_header_without_a_scheme() {
    let (key, file) = key_and_file();
    let app = App::start(Settings::bearer().jwks_file(&file).identity("header", "X-Id-Token"));
    let (token, behind_a_scheme) = (key.token(), format!("Bearer {}", key.token()));
    assert_eq!(app.get("/pandium-sso", &[("x-id-token", &token)]).status, 307);
    app.get("/pandium-sso", &[("X-Id-Token", &behind_a_scheme)]).assert_refused(401, "invalid_token");
    app.send_token(&token).assert_refused(401, "unauthenticated");
    assert_eq!(preflight(&app, ORIGIN), "accept, x-id-token");
}

#[test]
fn an_allowed_origin_can_send_a_token_and_read_the_url() {
    let (key, file) = key_and_file();
    let app = App::start(Settings::bearer().jwks_file(&file));
    let bearer = format!("Bearer {}", key.token());
    let request = |origin| app.get("/pandium-sso", &[("Authorization", &bearer), JSON, origin]);
    let response = request(ORIGIN);
    assert_eq!((response.status, response.header("access-control-allow-origin")), (200, ORIGIN.1));
    assert_eq!(Token::of(&response).claims["external_id"], "u-1");
    assert_eq!(preflight(&app, ORIGIN), "accept, authorization");

    assert_eq!(preflight(&app, STRANGER), "");
    assert!(!request(STRANGER).has("access-control-allow-origin"));
}

#[test]
fn another_entrance_accepts_tokens() {
    let (key, file) = key_and_file();
    let partners = Settings::standard().entrance("partners", &Settings::bearer().jwks_file(&file));
    let app = App::start(partners.set("entrances.partners.path", "/partners/sso"));
    assert_eq!(app.send_token_to("/partners/sso", &key.token()).status, 307);
    app.send_token(&key.token()).assert_refused(401, "unauthenticated");
}

// T13
#[test]
fn a_token_is_valid_at_its_own_entrance_only() {
    let (key, file) = key_and_file();
    let main = Settings::bearer().jwks_file(&file);
    let issuer = main.clone().issuer("https://partners.example.com/");
    let audience = main.clone().audience("the-partners");
    let app = App::start(main.entrance("a", &issuer).entrance("b", &audience));
    let tokens = [
        ("/pandium-sso", key.token()),
        ("/a", key.token_with(&[("iss", "\"https://partners.example.com/\"")])),
        ("/b", key.token_with(&[("aud", "\"the-partners\"")])),
    ];
    for (own, token) in &tokens {
        for (path, _) in &tokens {
            let response = app.send_token_to(path, token);
            let expected = if own == path { (307, "") } else { (401, "invalid_token") };
            let result = (response.status, response.reason());
            assert_eq!(result, (expected.0, expected.1.to_owned()), "a token for {own} at {path}");
        }
    }
}

#[test]
fn rotated_key_files_are_used_without_a_restart() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let (app, file) = App::start_with_key(&old);
    assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
    app.send_token(&new.token_with_kid("k-2")).assert_refused(401, "invalid_token");

    file.replace(&jwks(&[old.jwk(Some("k-1")), new.jwk(Some("k-2"))]));
    app.wait_for_metric("marketplace_sso_config_reloads_total", &[("result", "applied")], 1.0);
    assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
    assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307);

    file.replace(&jwks(&[new.jwk(Some("k-2"))]));
    app.reload();
    app.send_token(&old.token_with_kid("k-1")).assert_refused(401, "invalid_token");
    assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307);
}

#[test]
fn absent_expired_and_invalid_tokens_differ_in_reason() {
    let key = Key::new("ES256");
    let (app, _file) = App::start_with_key(&key);
    let (good, late) = (key.token(), key.token_with(&[("exp", "@-1")]));
    app.send_token(&late).assert_refused(401, "expired_token");
    app.send_token(&Key::new("ES256").token_with(&[("exp", "@-1")])).assert_refused(401, "invalid_token");
    let nothing = app.get("/pandium-sso", &[]);
    nothing.assert_refused(401, "unauthenticated");
    assert_eq!(nothing.header("www-authenticate"), "Bearer");
    app.send_token(&key.token_with(&[("email_verified", "false")])).assert_refused(401, "unauthenticated");
    app.get("/pandium-sso", &[("Authorization", "")]).assert_refused(401, "unauthenticated");
    for value in ["Bearer", "Bearer ", "Basic YTpi", "Bearer a.b", &good, &format!("Token {good}")] {
        app.get("/pandium-sso", &[("Authorization", value)]).assert_refused(401, "invalid_token");
    }
    let bearer = format!("Bearer {good}");
    for (one, other) in [(&bearer, &bearer), (&bearer, &format!("Bearer {late}"))] {
        let both = [("Authorization", one.as_str()), ("authorization", other)];
        app.get("/pandium-sso", &both).assert_refused(400, "ambiguous_identity");
    }
    assert_eq!(app.get("/pandium-sso", &[("authorization", &format!("bEARER {good}"))]).status, 307);
}

#[test]
fn leeway_and_required_claims_are_applied() {
    let (key, file) = key_and_file();
    let settings = Settings::bearer().jwks_file(&file).identity("leeway_s", 60);
    let app = App::start(settings.identity("required_claims.tier", 2));
    let send_token =
        |changed: &[(&str, &str)]| app.send_token(&key.token_with(&[&[("tier", "2")], changed].concat()));
    for within in [("exp", "@-30"), ("iat", "@30"), ("nbf", "@30")] {
        assert_eq!(send_token(&[within]).status, 307, "{within:?}");
    }
    send_token(&[("exp", "@-61")]).assert_refused(401, "expired_token");
    for beyond in [("iat", "@120"), ("nbf", "@120")] {
        send_token(&[beyond]).assert_refused(401, "invalid_token");
    }
    for tier in ["", "1", "\"2\"", "[2]", "null"] {
        app.send_token(&key.token_with(&[("tier", tier)])).assert_refused(401, "invalid_token");
    }
}

#[test]
fn a_wrong_setting_is_named_and_stops_the_start() {
    let (key, file) = key_and_file();
    let (pem, private) = (KeyFile::new(&key.pem()), KeyFile::new(&Key::private_pem()));
    // settings without keys, with a JWKS, with a PEM key, with a URL
    let bearer = Settings::bearer;
    let jwks = || bearer().jwks_file(&file);
    let with_pem = || bearer().identity("public_key_file", pem.path());
    let url = || bearer().algorithm("RS256").jwks_url("https://a.example/");
    let hs256 = || bearer().algorithm("HS256");
    assert_eq!(jwks().check().status, 0);
    for (settings, key) in [
        (jwks().without("identity.issuer"), "issuer"),
        (jwks().without("identity.audience"), "audience"),
        (jwks().identity("audience", [""]), "audience"),
        (jwks().algorithm("none"), "algorithms"),
        (jwks().algorithm("es256"), "algorithms"),
        (jwks().identity("algorithms", ["HS256", "RS256"]), "algorithms"),
        (jwks().algorithm("RS256"), "jwks_file"),
        (with_pem().algorithm("RS256"), "public_key_file"),
        // the default is RS256
        (jwks().without("identity.algorithms"), "jwks_file"),
        (with_pem().algorithm("HS256"), "public_key_file"),
        (bearer().algorithm("EdDSA").identity("public_key_file", private.path()), "public_key_file"),
        (bearer().identity("shared_secret", SECRET), "shared_secret"),
        (hs256().identity("shared_secret", "short"), "shared_secret"),
        // the same secret as Pandium's
        (hs256().identity("shared_secret", SECRET), "shared_secret"),
        (jwks().identity("user.name", "given_name ~ (family_name|lwoer)"), "user.name"),
        // neither keys nor an https issuer to discover them
        (bearer().issuer("i"), "jwks_url"),
        (hs256(), "shared_secret"),
        (hs256().jwks_url("https://a.example/"), "jwks_url"),
        (url().jwks_url("http://login.example.com/keys"), "jwks_url"),
        (url().jwks_url("file:///etc/keys"), "jwks_url"),
        (url().identity("jwks_max_stale_s", 300), "jwks_max_stale_s"),
        (url().identity("jwks_min_refresh_interval_s", 0), "jwks_min_refresh_interval_s"),
        (url().identity("jwks_ca_file", "/dev/null"), "jwks_ca_file"),
        (with_pem().jwks_file(&file), "jwks_file"),
        (jwks().identity("shared_secret", SECRET), "jwks_file"),
        (bearer().identity("jwks_file", "/nowhere/keys"), "jwks_file"),
        (jwks().identity("cookie", "a").identity("header", "b"), "header"),
        (jwks().identity("header", "a b"), "header"),
        (jwks().identity("leeway_s", 301), "leeway_s"),
        (jwks().identity("user.id", "sub ~"), "user.id"),
        (jwks().identity("user.attributes.a", "a b"), "user.attributes.a"),
        (jwks().identity("jwks_uri", "https://a.example/"), "jwks_uri"),
        // a setting of another authenticator
        (jwks().identity("trusted_proxies", [""; 0]), "trusted_proxies"),
    ] {
        settings.assert_wrong(&format!("identity.{key}"), "");
    }
}

/// The headers that a preflight allows for this origin, empty if it is refused.
fn preflight(app: &App, origin: Field<'_>) -> String {
    let headers = [origin, ("Access-Control-Request-Method", "GET")];
    let response = app.request("OPTIONS", "/pandium-sso", &headers);
    response.all("access-control-allow-headers").join(" and ")
}
