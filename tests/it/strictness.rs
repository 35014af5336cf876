//! Configurations and tokens that a lenient reader would accept, and that would admit
//! the wrong user.

use rstest::rstest;

use crate::harness::command::{File, run};
use crate::harness::issuer::{Key, bearer_identity, claims_with, entrance, key_and_file};
use crate::harness::{App, SECRET, STANDARD};

const OTHER: &str = "a-secret-that-another-side-shares-with-us";

/// Settings added to the standard ones, and the setting that the error names.
#[rstest]
#[case::appdirect_with_the_pandium_secret(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.identity]\nkind = \"appdirect\"\ntenant = \"t\"\nalgorithms = [\"HS256\"]\n\
     marketplace_url = \"https://m.example.com\"\nshared_secret = \"SECRET\"",
    "entrances.a.identity.shared_secret"
)]
#[case::the_secret_of_another_entrance(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.pandium]\nshared_secret = \"OTHER\"\n[entrances.a.identity]\nkind = \"bearer\"\n\
     issuer = \"i\"\naudience = \"a\"\nalgorithms = [\"HS256\"]\nshared_secret = \"SECRET\"",
    "entrances.a.identity.shared_secret"
)]
#[case::a_subject_from_absent_values(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.claims]\nsub = \"email ~ ':' ~ id\"\n[entrances.a.identity]\n\
     kind = \"commercetools\"\nissuer = \"gcp-eu\"\npublic_origin = \"https://sso.example.com\"",
    "entrances.a.claims.sub"
)]
#[case::an_unknown_cloud(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.claims]\nsub = \"id\"\n[entrances.a.identity]\n\
     kind = \"commercetools\"\nissuer = \"gcp-ue\"\npublic_origin = \"https://sso.example.com\"",
    "entrances.a.identity.issuer"
)]
#[case::a_team_that_is_a_host(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.identity]\nkind = \"cloudflare_access\"\naudience = \"a\"\n\
     team = \"acme.cloudflareaccess.com\"",
    "entrances.a.identity.team"
)]
#[case::fetch_settings_without_a_fetch(
    "[entrances.a]\npath = \"/a\"\n[entrances.a.identity]\nkind = \"bearer\"\nissuer = \"i\"\naudience = \"a\"\n\
     algorithms = [\"HS256\"]\nshared_secret = \"OTHER\"\njwks_max_stale_s = 900",
    "entrances.a.identity.jwks_max_stale_s"
)]
fn a_permissive_configuration_is_rejected(#[case] settings: &str, #[case] key: &str) {
    let settings = settings.replace("SECRET", SECRET).replace("OTHER", OTHER);
    let result = run(&["check", "--config", &File::new(&format!("{STANDARD}{settings}")).text()]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains(&format!("{key}: ")), "{key} is not named: {}", result.errors);
    assert!(!result.errors.contains(SECRET) && !result.errors.contains(OTHER), "{}", result.errors);
}

#[rstest]
#[case("http://m.example.com", false)]
#[case("https://*.example.com", false)]
#[case("https://u:p@m.example.com", false)]
#[case("https://m.example.com/shop", true)]
fn appdirect_marketplace_url_is_https_in_production(#[case] url: &str, #[case] is_valid: bool) {
    let config = STANDARD.replace("\"sandbox\"", "\"production\"");
    let settings = format!(
        "[entrances.a]\npath = \"/a\"\n[entrances.a.identity]\nkind = \"appdirect\"\ntenant = \"t\"\n\
         marketplace_url = {url:?}\njwks_url = \"https://m.example.com/keys\""
    );
    let result = run(&["check", "--config", &File::new(&format!("{config}{settings}")).text()]);
    assert_eq!(result.status, if is_valid { 0 } else { 78 }, "{result:?}");
    assert_eq!(result.errors.contains("identity.marketplace_url: "), !is_valid, "{}", result.errors);
}

#[rstest]
#[case::as_the_id("id = \"email\"")]
#[case::as_the_user_name("id = \"\"\nusername = \"email\"")]
#[case::lower_case("id = \"email|lower\"")]
#[case::as_an_attribute("id = \"\"\nattributes.mail = \"email\"")]
fn an_unverified_email_is_hidden_from_expressions(#[case] mapping: &str) {
    let (key, file) = key_and_file();
    let sub = "[claims]\nsub = \"id or username or attributes.mail\"";
    let settings = format!("[identity.user]\n{mapping}\n{sub}");
    let app = App::start_with_identity(&bearer_identity("ES256", &file.setting("jwks_file")), &settings);
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
    let caf = format!("kind = \"caf\"\npolicy_id = \"p-1\"\nclient_secret = {OTHER:?}");
    let shop = format!(
        "kind = \"appdirect\"\nmarketplace_url = \"https://m.example.com\"\ntenant = \"t-1\"\n\
         algorithms = [\"HS256\"]\nshared_secret = {OTHER:?}"
    );
    let app = App::start_with_identity(&caf, &format!("{}[claims]\nsub = \"id\"", entrance("shop", &shop)));
    let claims =
        [("policyId", "\"p-1\""), ("isAuthorized", "true"), ("peopleId", "\"x\""), ("tenant", "\"t-1\"")];
    let claims = [claims.as_slice(), &[("name", "\"alice@example.com\"")]].concat();
    let without = key.token_with(&[claims.as_slice(), &[("aud", "")]].concat());
    let with = key.token_with(&claims);
    let to_shop = |token: &str| app.get("/shop", &[("MP-Authorization", &format!("Bearer {token}"))]);
    assert_eq!((app.send_token(&without).status, to_shop(&without).status), (307, 307));
    app.send_token(&with).assert_refused(401, "invalid_token");
    to_shop(&with).assert_refused(401, "invalid_token");
}

// T10
#[rstest]
#[case("JWT", true)]
#[case("at+jwt", true)]
#[case("logout+jwt", false)]
#[case("application/Logout+JWT", false)]
#[case("secevent+jwt", false)]
#[case("dpop+jwt", false)]
fn a_token_for_another_purpose_is_rejected(#[case] purpose: &str, #[case] is_accepted: bool) {
    let (key, file) = key_and_file();
    let app = App::start_with_identity(&bearer_identity("ES256", &file.setting("jwks_file")), "");
    let header = format!(r#"{{"alg":"ES256","kid":"k-1","typ":{purpose:?}}}"#);
    let response = app.send_token(&key.sign(&header, &claims_with(&[])));
    assert_eq!(response.status, if is_accepted { 307 } else { 401 }, "{response:?}");
}

/// Settings, and the accepted and refused values of `typ`; `null` is a token without
/// one.
#[rstest]
#[case::unless_set("", &["JWT", "jwt", "application/jwt", "at+JWT", "null"], &["JOSE", "secevent+jwt", "it+jwt", ""])]
#[case::another("accepted_types = [\"it+jwt\"]", &["it+jwt", "application/IT+JWT"], &["JWT", "at+jwt", "null"])]
#[case::none_or_one("accepted_types = [\"\", \"a/b\"]", &["null", "A/B"], &["b", "application/b", "JWT"])]
fn accepted_types_limit_typ(#[case] setting: &str, #[case] accepted: &[&str], #[case] refused: &[&str]) {
    let (key, file) = key_and_file();
    let app = App::start_with_identity(&bearer_identity("ES256", &(file.setting("jwks_file") + setting)), "");
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
    let app = App::start_with_identity(&bearer_identity("ES256", &file.setting("jwks_file")), "");
    let challenge = |token: &str| app.send_token(token).header("www-authenticate").to_owned();
    assert_eq!(challenge(&Key::new("ES256").token()), "Bearer error=\"invalid_token\"");
    assert_eq!(challenge(&key.token_with(&[("exp", "@-1")])), "Bearer error=\"invalid_token\"");
    assert_eq!(app.get("/pandium-sso", &[]).header("www-authenticate"), "Bearer");
}
