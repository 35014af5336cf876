//! Configurations and tokens that a lenient parser would accept, and with which the wrong user
//! could sign on.

use rstest::rstest;

use crate::harness::issuer::{Key, claims_with, key_and_file};
use crate::harness::{App, SECRET, Settings};

const OTHER: &str = "a-secret-that-another-side-shares-with-us";

/// An entrance `a` with these settings.
fn with_entrance(settings: &Settings) -> Settings {
    Settings::standard().entrance("a", settings)
}

#[test]
fn a_permissive_configuration_is_rejected() {
    let by_secret = |settings: Settings, secret| {
        with_entrance(&settings.algorithm("HS256").identity("shared_secret", secret))
    };
    let gateway =
        |issuer, sub| with_entrance(&Settings::commercetools(issuer)).set("entrances.a.claims.sub", sub);
    let fetching = Settings::bearer().identity("jwks_max_stale_s", 900);
    let access = Settings::of_kind("cloudflare_access").audience("a");
    for (settings, key) in [
        (by_secret(Settings::appdirect(), SECRET), "identity.shared_secret"),
        // the secret that another entrance signs with
        (
            by_secret(Settings::bearer(), SECRET).set("entrances.a.pandium.shared_secret", OTHER),
            "identity.shared_secret",
        ),
        // a subject from absent values
        (gateway("gcp-eu", "email ~ ':' ~ id"), "claims.sub"),
        (gateway("gcp-ue", "id"), "identity.issuer"),
        (with_entrance(&access.identity("team", "acme.cloudflareaccess.com")), "identity.team"),
        // a setting for fetches, although no keys are fetched
        (by_secret(fetching, OTHER), "identity.jwks_max_stale_s"),
    ] {
        settings.assert_wrong(&format!("entrances.a.{key}"), "");
        let errors = settings.check().errors;
        assert!(!errors.contains(SECRET) && !errors.contains(OTHER), "{errors}");
    }
}

#[rstest]
#[case("http://m.example.com", false)]
#[case("https://*.example.com", false)]
#[case("https://u:p@m.example.com", false)]
#[case("https://m.example.com/shop", true)]
fn appdirect_marketplace_url_is_https_in_production(#[case] url: &str, #[case] is_valid: bool) {
    let appdirect = Settings::appdirect().identity("marketplace_url", url);
    let settings = with_entrance(&appdirect.jwks_url("https://m.example.com/keys"));
    let result = settings.set("environment", "production").check();
    assert_eq!(result.status, if is_valid { 0 } else { 78 }, "{result:?}");
    assert_eq!(result.errors.contains("identity.marketplace_url: "), !is_valid, "{}", result.errors);
}

#[rstest]
#[case::as_the_id(&[("id", "email")])]
#[case::as_the_user_name(&[("id", ""), ("username", "email")])]
#[case::lower_case(&[("id", "email|lower")])]
#[case::as_an_attribute(&[("id", ""), ("attributes.mail", "email")])]
fn an_unverified_email_is_hidden_from_expressions(#[case] mapping: &[(&str, &str)]) {
    let (key, file) = key_and_file();
    let settings = Settings::bearer().jwks_file(&file).set("claims.sub", "id or username or attributes.mail");
    let app = App::start(mapping.iter().fold(settings, |settings, (field, expression)| {
        settings.identity(&format!("user.{field}"), expression)
    }));
    assert_eq!(app.send_token(&key.token_with(&[("email_verified", "true")])).status, 307);
    for unconfirmed in ["false", "\"false\"", "0", "null"] {
        let token = key.token_with(&[("email_verified", unconfirmed)]);
        app.send_token(&token).assert_refused(401, "unauthenticated");
    }
}

// T13
#[test]
fn a_token_with_an_unexpected_audience_is_rejected() {
    let key = Key::shared(OTHER);
    let shop = Settings::appdirect().algorithm("HS256").identity("shared_secret", OTHER);
    let app = App::start(Settings::caf(OTHER).entrance("shop", &shop));
    let claims = [
        ("policyId", "\"policy-1\""),
        ("isAuthorized", "true"),
        ("peopleId", "\"x\""),
        ("tenant", "\"ACME\""),
    ];
    let claims = [claims.as_slice(), &[("name", "\"alice@example.com\"")]].concat();
    let without = key.token_with(&[claims.as_slice(), &[("aud", "")]].concat());
    let with = key.token_with(&claims);
    let to_shop = |token: &str| app.get("/shop", &[("MP-Authorization", &format!("Bearer {token}"))]);
    assert_eq!((app.send_token(&without).status, to_shop(&without).status), (307, 307));
    app.send_token(&with).assert_refused(401, "invalid_token");
    to_shop(&with).assert_refused(401, "invalid_token");
}

// T10
#[test]
fn a_token_for_another_purpose_is_rejected() {
    let (key, file) = key_and_file();
    let app = App::start(Settings::bearer().jwks_file(&file));
    for (purpose, is_accepted) in [
        ("JWT", true),
        ("at+jwt", true),
        ("logout+jwt", false),
        ("application/Logout+JWT", false),
        ("secevent+jwt", false),
        ("dpop+jwt", false),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k-1","typ":{purpose:?}}}"#);
        let response = app.send_token(&key.sign(&header, &claims_with(&[])));
        assert_eq!(response.status, if is_accepted { 307 } else { 401 }, "{purpose}: {response:?}");
    }
}

/// Settings, and the accepted and refused values of `typ`; `null` is a token without
/// one.
#[rstest]
#[case::unless_set(None, &["JWT", "jwt", "application/jwt", "at+JWT", "null"], &["JOSE", "secevent+jwt", "it+jwt", ""])]
#[case::another(Some(&["it+jwt"][..]), &["it+jwt", "application/IT+JWT"], &["JWT", "at+jwt", "null"])]
#[case::none_or_one(Some(&["", "a/b"][..]), &["null", "A/B"], &["b", "application/b", "JWT"])]
fn accepted_types_limit_typ(
    #[case] types: Option<&[&str]>,
    #[case] accepted: &[&str],
    #[case] refused: &[&str],
) {
    let (key, file) = key_and_file();
    let settings = Settings::bearer().jwks_file(&file);
    let app = App::start(match types {
        None => settings,
        Some(types) => settings.identity("accepted_types", types),
    });
    let send_token = |typ: &str| {
        let header = format!(r#"{{"alg":"ES256","kid":"k-1"{typ}}}"#);
        app.send_token(&key.sign(&header, &claims_with(&[])))
    };
    let member = |typ: &str| if typ == "null" { String::new() } else { format!(r#","typ":{typ:?}"#) };
    for typ in accepted {
        assert_eq!(send_token(&member(typ)).status, 307, "{typ}");
    }
    for typ in refused {
        send_token(&member(typ)).assert_refused(401, "invalid_token");
    }
    for typ in ["null", "1", "true", "[\"JWT\"]", "{}"] {
        send_token(&format!(r#","typ":{typ}"#)).assert_refused(401, "invalid_token");
    }
}

#[test]
fn www_authenticate_names_the_error() {
    let (key, file) = key_and_file();
    let app = App::start(Settings::bearer().jwks_file(&file));
    let challenge = |token: &str| app.send_token(token).header("www-authenticate").to_owned();
    assert_eq!(challenge(&Key::new("ES256").token()), "Bearer error=\"invalid_token\"");
    assert_eq!(challenge(&key.token_with(&[("exp", "@-1")])), "Bearer error=\"invalid_token\"");
    assert_eq!(app.get("/pandium-sso", &[]).header("www-authenticate"), "Bearer");
}
