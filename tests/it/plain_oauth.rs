//! Sign-in at mittwald's plain OAuth 2.0 with the preset of `kind = "oidc"`, from the login to the
//! hand-off.

use serde_json::json;

use crate::harness::provider::{Lies, change};
use crate::harness::sign_in::{Browser, LOGIN, SignInService, WINDOW};
use crate::harness::{Settings, Token};

/// Ada's id at mittwald.
const USER: &str = "3f1d6c7a-52c4-4d0e-9b0f-6a8e21f0c201";

fn start() -> SignInService {
    SignInService::start_with(|settings: Settings| {
        settings.identity("preset", "mittwald").set("claims.ti.uem", "email").set("claims.ti.udn", "name")
    })
}

#[test]
fn a_user_of_mittwald_is_handed_off() {
    let service = start();
    let browser = Browser::default();
    let at_mittwald = browser.begin(&service.app, LOGIN);
    assert!(at_mittwald.starts_with(&format!("{}/v2/oauth2/authorize?", service.provider.issuer())));
    let signed_in = browser.sign_in(&service.app, &service.provider, LOGIN);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, "/pandium-sso"));
    let handed_off = browser.get(&service.app, "/pandium-sso", WINDOW);
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    let claims = Token::of(&handed_off).claims;
    assert_eq!((&claims["sub"], &claims["ti"]["uem"]), (&json!(USER), &json!("ada@winter-pottery.example")));
    assert_eq!(claims["ti"]["udn"], "Ada Winter");
    let requests = service.provider.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v2/oauth2/token", "/v2/users/self"]);
    assert!(requests[0].authorization.as_ref().is_some_and(|sent| sent.starts_with("Basic ")));

    // mittwald has neither a logout URL nor logout tokens
    let origin = [("Origin", "https://app.example.com")];
    let signed_out = browser.post(&service.app, "/auth/pandium-sso/logout", &origin, "");
    assert_eq!(signed_out.status, 200, "{signed_out:?}");
    assert_eq!(browser.get(&service.app, "/pandium-sso", WINDOW).status, 401);
    let logout = browser.post(&service.app, "/auth/pandium-sso/backchannel-logout", &[], "logout_token=x");
    assert_eq!(logout.status, 404);
}

// T37
#[test]
fn a_user_whom_mittwald_does_not_name_has_no_session() {
    let service = start();
    service.provider.lie(Lies { user_info: change("userId", json!(null)), ..Lies::default() });
    let browser = Browser::default();
    let refused = browser.sign_in(&service.app, &service.provider, LOGIN);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(browser.cookie("__Host-sso-pandium-sso"), None);
}
