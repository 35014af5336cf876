//! `doctor` at an entrance whose users this service signs in.

use rstest::rstest;

use crate::harness::App;
use crate::harness::command::run;
use crate::harness::key_server::{Behaviour, KeyServer, serving};
use crate::harness::provider::{FixedResponse, Lies};
use crate::harness::sign_in::SignInService;

/// Names a sign-in.
const REFUSAL: &str = r#"{"type":"urn:marketplace-sso:unauthenticated","reason":"unauthenticated","status":401,
    "login_url":"https://app.example.com/auth/pandium-sso/login"}"#;

/// The line about the sign-in, for the service at this origin.
fn sign_in_line(origin: &str) -> String {
    let result = run(&["doctor", origin]);
    let line =
        result.output.lines().find(|line| line.contains(" sign-in ")).unwrap_or_default().trim().to_owned();
    assert_eq!(line.starts_with('✗'), result.status == 1, "{result:?}");
    assert!(!result.output.contains("state="), "{result:?}");
    line
}

#[test]
fn doctor_names_the_provider_of_a_sign_in() {
    let service = SignInService::start();
    let line = sign_in_line(&format!("http://{}", service.app.address()));
    assert!(line.starts_with('✓') && line.ends_with("at the provider, 127.0.0.1"), "{line}");
    let without = App::standard();
    let direct = run(&["doctor", &format!("http://{}", without.address())]);
    assert!(direct.output.contains("forged headers") && !direct.output.contains(" sign-in "), "{direct:?}");
}

#[test]
fn doctor_reports_a_provider_that_is_not_available() {
    let service = SignInService::start();
    let body = "the provider is being maintained".to_owned();
    let path = "/.well-known/openid-configuration";
    let response = FixedResponse { path, status: 503, content_type: "text/plain", body };
    service.provider.lie(Lies { response: Some(response), ..Lies::default() });
    let line = sign_in_line(&format!("http://{}", service.app.address()));
    assert!(line.starts_with('✗') && line.contains("503 upstream_unavailable"), "{line}");
    assert!(line.contains("identity.issuer"), "{line}");
}

/// A proxy that passes the entrance on, and responds to `/auth/` itself.
#[rstest]
#[case::by_another_login(Behaviour::Respond(303, REFUSAL.into()), "not to an OpenID provider")]
#[case::not_at_all(serving(&[("/pandium-sso", REFUSAL)]), "responds with 404 at /auth/pandium-sso/login itself")]
fn doctor_reports_a_sign_in_that_the_proxy_answers(#[case] proxy: Behaviour, #[case] message: &str) {
    let proxy = KeyServer::start(proxy).unwrap();
    let line = sign_in_line(&proxy.origin());
    assert!(line.starts_with('✗') && line.contains(message), "{line}");
    assert!(line.contains("pass /auth/ on"), "{line}");
    let for_nginx = run(&["doctor", &proxy.origin(), "--front", "nginx"]);
    assert!(for_nginx.output.contains("| location /auth/ {"), "{for_nginx:?}");
}
