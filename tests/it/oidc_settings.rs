//! The settings of `kind = "oidc"`: defaults, every problem at once with its key and
//! remedy, and how claims map to the user.

use marketplace_sso::authn::oidc::{AccountChoice, OidcClient};
use rstest::rstest;
use serde_json::json;

use crate::harness::provider::{Changes, Lies, Login, REDIRECT_URI, change};

const MINIMAL: &str = "issuer = \"https://id.example.com\"\nclient_id = \"c\"";

fn read(settings: &str) -> Result<OidcClient, Vec<(String, String)>> {
    OidcClient::from_toml(&format!("[identity]\n{settings}"), REDIRECT_URI).map_err(|problems| {
        problems
            .problems
            .into_iter()
            .map(|problem| (problem.key, problem.what + " " + &problem.help))
            .collect()
    })
}

#[test]
fn issuer_and_client_id_suffice() {
    let client = read(MINIMAL).unwrap();
    assert_eq!((client.issuer(), client.redirect_uri()), ("https://id.example.com", REDIRECT_URI));
    assert_eq!(client.scopes, ["openid", "profile", "email"]);
    assert_eq!(client.registration.authentication.name(), "none");
    assert_eq!(client.key_cache().unwrap().url(), "https://id.example.com/.well-known/openid-configuration");
}

#[rstest]
#[case::public("", "none")]
#[case::secret("client_secret = \"s\"", "client_secret_basic")]
#[case::post("client_secret = \"s\"\nclient_authentication = \"client_secret_post\"", "client_secret_post")]
fn the_authentication_follows_from_the_secret(#[case] settings: &str, #[case] method: &str) {
    let client = read(&format!("{MINIMAL}\n{settings}")).unwrap();
    assert_eq!(client.registration.authentication.name(), method);
    assert!(!format!("{client:?}").contains("\"s\""));
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems = read(
        "issuer = \"http://id.example.com\"\nscopes = [\"profile\"]\nalgorithms = [\"HS256\"]\nmax_age_s = 0\n\
         prompt = \"none\"\nclient_authentication = \"private_key_jwt\"\ntoken_url = \"https://id.example.com/t\"\n\
         user_info = \"maybe\"\nleeway_s = 1000\nclient_idd = \"x\"\n[identity.user]\nid = \"sub +\"",
    )
    .unwrap_err();
    let mut keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "identity.algorithms",
            "identity.authorization_url",
            "identity.client_id",
            "identity.client_idd",
            "identity.client_key_file",
            "identity.issuer",
            "identity.leeway_s",
            "identity.max_age_s",
            "identity.prompt",
            "identity.scopes",
            "identity.user.id",
            "identity.user_info",
        ]
    );
}

#[rstest]
#[case::query("issuer = \"https://id.example.com/?a=b\"\nclient_id = \"c\"", "identity.issuer", "query")]
#[case::no_issuer("client_id = \"c\"", "identity.issuer", "not set")]
#[case::http_endpoint(
    "issuer = \"https://id.example.com\"\nclient_id = \"c\"\nend_session_url = \"http://id.example.com/x\"",
    "identity.end_session_url",
    "not https"
)]
#[case::no_keys(
    "issuer = \"https://id.example.com\"\nclient_id = \"c\"\nauthorization_url = \"https://id.example.com/a\"\ntoken_url = \"https://id.example.com/t\"",
    "identity.jwks_url",
    "no discovery"
)]
#[case::two_credentials(
    "issuer = \"https://id.example.com\"\nclient_id = \"c\"\nclient_secret = \"s\"\nclient_key_file = \"/k\"",
    "identity.client_key_file",
    "does not use it"
)]
#[case::unused_secret(
    "issuer = \"https://id.example.com\"\nclient_id = \"c\"\nclient_secret = \"s\"\nclient_authentication = \"none\"",
    "identity.client_secret",
    "does not use it"
)]
#[case::secret_in_the_body(
    "preset = \"mittwald\"\nclient_id = \"c\"\nclient_secret = \"s\"\nclient_authentication = \"client_secret_post\"",
    "identity.client_authentication",
    "client_secret_basic"
)]
#[case::symmetric(
    "issuer = \"https://id.example.com\"\nclient_id = \"c\"\nalgorithms = [\"HS256\"]",
    "identity.algorithms",
    "HMAC"
)]
fn a_problem_names_its_key(#[case] settings: &str, #[case] key: &str, #[case] what: &str) {
    let problems = read(settings).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].0 == key && problems[0].1.contains(what), "{problems:?}");
}

#[tokio::test]
async fn a_provider_without_discovery_is_configured() {
    let origin = Login::new("").provider.issuer().to_owned();
    let settings = format!(
        "issuer = {origin:?}\nclient_id = \"c\"\nauthorization_url = \"{origin}/a\"\ntoken_url = \"{origin}/t\"\n\
         jwks_url = \"{origin}/keys\""
    );
    let client = read(&settings).unwrap();
    let begun = client.begin(AccountChoice::Any, marketplace_sso::clock::Timestamp::now).await.unwrap();
    assert!(begun.url.starts_with(&format!("{origin}/a?")));
    assert_eq!(client.key_cache().unwrap().url(), format!("{origin}/keys"));
}

#[tokio::test]
async fn claims_map_as_for_bearer() {
    let login = Login::new(
        "[identity.user]\nid = \"'u-' ~ sub\"\nname = \"\"\n[identity.user.organization]\nid = \"organization_id\"\n\
         [identity.user.attributes]\nplan = \"plan\"",
    );
    login.provider.lie(Lies { id_token: change("plan", json!("pro")), ..Lies::default() });
    let signed_in = login.sign_in().await.unwrap();
    let user = signed_in.user;
    assert_eq!(user.id.unwrap().as_str(), "u-usr-201");
    assert_eq!(user.organization.id.unwrap().as_str(), "org-17");
    assert_eq!((user.name, &user.attributes["plan"]), (None, &json!("pro")));
    assert_eq!(user.credentials.issuer.as_deref(), Some(login.provider.issuer()));
    assert_eq!(user.credentials.key_id.as_deref(), Some("key-1"));

    login.provider.lie(Lies { id_token: Changes::of(&[("email", json!("a@b@c"))]), ..Lies::default() });
    assert_eq!(login.sign_in().await.unwrap_err().reason().code(), "bad_identity");
    login.provider.lie(Lies { id_token: change("email_verified", json!(false)), ..Lies::default() });
    assert_eq!(login.sign_in().await.unwrap().user.email, None);
}
