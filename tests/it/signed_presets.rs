//! Fronts that sign what they know of a user: each preset with its own header,
//! issuer and algorithm.

use rstest::rstest;
use serde_json::json;

use crate::harness::command::{File, run};
use crate::harness::issuer::{Key, claims_of, standard_with};
use crate::harness::key_server::{Behaviour, KeyServer, publishing};
use crate::harness::{Answer, App, Token};

/// A preset as an operator writes it, and what its front sends.
#[derive(Clone, Copy)]
struct Front {
    settings: &'static str,
    header: &'static str,
    scheme: &'static str,
    issuer: &'static str,
    audience: &'static str,
    /// Where its keys are asked for, unless told otherwise.
    host: &'static str,
}

const ACCESS: Front = Front {
    settings: "kind = \"cloudflare_access\"\nteam = \"acme\"\naudience = \"tag-1\"",
    header: "Cf-Access-Jwt-Assertion",
    scheme: "",
    issuer: "https://acme.cloudflareaccess.com",
    audience: "tag-1",
    host: "acme.cloudflareaccess.com",
};

const IAP: Front = Front {
    settings: "kind = \"google_iap\"\naudience = \"/projects/1/global/backendServices/2\"",
    header: "X-Goog-IAP-JWT-Assertion",
    scheme: "",
    issuer: "https://cloud.google.com/iap",
    audience: "/projects/1/global/backendServices/2",
    host: "www.gstatic.com",
};

const POMERIUM: Front = Front {
    settings: "kind = \"pomerium\"\nroute_host = \"sso.example.com\"",
    header: "X-Pomerium-Jwt-Assertion",
    scheme: "",
    issuer: "sso.example.com",
    audience: "sso.example.com",
    host: "sso.example.com",
};

const AUTHENTIK: Front = Front {
    settings: "kind = \"authentik\"\nissuer = \"https://auth.example.com/application/o/sso/\"\naudience = \"client\"",
    header: "X-authentik-jwt",
    scheme: "",
    issuer: "https://auth.example.com/application/o/sso/",
    audience: "client",
    host: "auth.example.com",
};

const OATHKEEPER: Front = Front {
    settings: "kind = \"oathkeeper\"\nissuer = \"https://keeper.example.com/\"\naudience = \"sso\"",
    header: "Authorization",
    scheme: "Bearer ",
    issuer: "https://keeper.example.com/",
    audience: "sso",
    host: "keeper.example.com",
};

impl Front {
    /// Its claims for Alice, some of them otherwise.
    fn claims(self, changed: &[(&str, &str)]) -> String {
        let (issuer, audience) = (format!("{:?}", self.issuer), format!("[{:?}]", self.audience));
        let usual = [
            ("iss", issuer.as_str()),
            ("aud", &audience),
            ("sub", "\"u-1\""),
            ("email", "\"alice@example.com\""),
            ("type", "\"app\""),
            ("iat", "@0"),
            ("exp", "@60"),
        ];
        claims_of(&usual, changed)
    }

    fn token(self, key: &Key, changed: &[(&str, &str)]) -> String {
        key.sign(&json!({"alg": key.algorithm, "kid": "k-1"}).to_string(), &self.claims(changed))
    }

    fn bring(self, app: &App, token: &str) -> Answer {
        app.get("/pandium-sso", &[(self.header, &format!("{}{token}", self.scheme))])
    }

    /// A service behind it that has the front's key from a stand-in.
    fn app(self, key: &Key, more: &str) -> App {
        let server = publishing(&[key.jwk(Some("k-1"))]);
        let keys = format!("{}\njwks_url = \"{}/keys\"\n{more}", self.settings, server.origin());
        let app = App::start_with_identity(&keys, "");
        app.wait_until_ready();
        app
    }
}

#[rstest]
#[case::cloudflare_access(ACCESS, "RS256")]
#[case::google_iap(IAP, "ES256")]
#[case::pomerium(POMERIUM, "ES256")]
#[case::authentik(AUTHENTIK, "RS256")]
#[case::authentik_ec(AUTHENTIK, "ES256")]
#[case::oathkeeper(OATHKEEPER, "RS256")]
#[case::oathkeeper_ec(OATHKEEPER, "ES256")]
#[case::oathkeeper_ed(OATHKEEPER, "EdDSA")]
fn each_preset_accepts_its_own_tokens_only(#[case] front: Front, #[case] algorithm: &'static str) {
    let key = Key::new(algorithm);
    let app = front.app(&key, "");
    let good = front.token(&key, &[]);
    let claims = Token::of(&front.bring(&app, &good)).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("alice@example.com"), &json!("u-1")));

    let refused = |token: &str| front.bring(&app, token).assert_refused(401, "invalid_token");
    for issuer in ["", "null", "\"https://evil.example\"", &format!("\"{}x\"", front.issuer)] {
        refused(&front.token(&key, &[("iss", issuer)]));
    }
    for audience in ["", "[]", "\"other\"", &format!("\"{}/\"", front.audience)] {
        refused(&front.token(&key, &[("aud", audience)]));
    }
    for (name, value) in [("exp", ""), ("sub", ""), ("sub", "\"null\""), ("iat", "@120"), ("nbf", "@120")] {
        refused(&front.token(&key, &[(name, value)]));
    }
    front.bring(&app, &front.token(&key, &[("exp", "@-60")])).assert_refused(401, "expired_token");
    for other in [Key::new("PS256"), Key::new("ES384"), Key::new("EdDSA"), Key::shared(key.pem())] {
        refused(&front.token(&other, &[]));
    }

    for other in [ACCESS, IAP, POMERIUM, AUTHENTIK, OATHKEEPER] {
        if other.header != front.header {
            other.bring(&app, &good).assert_refused(401, "unauthenticated");
        }
    }
    let value = format!("{}{good}", front.scheme);
    let twice = [(front.header, value.as_str()), (front.header, &value)];
    app.get("/pandium-sso", &twice).assert_refused(400, "ambiguous_identity");
}

#[rstest]
#[case::cloudflare_access(ACCESS)]
#[case::google_iap(IAP)]
#[case::pomerium(POMERIUM)]
#[case::authentik(AUTHENTIK)]
#[case::oathkeeper(OATHKEEPER)]
fn each_preset_fetches_keys_from_its_own_host(#[case] front: Front) {
    let proxy = KeyServer::start(Behaviour::Answer(403, String::new())).unwrap();
    let identity = standard_with(front.settings);
    let app = App::start_with_variables(&identity, "", &[("HTTPS_PROXY", &proxy.origin())]);
    app.wait_until_ready();
    assert_eq!(proxy.asked(), [format!("{}:443", front.host)]);
    let answer = front.bring(&app, &front.token(&Key::new("ES256"), &[]));
    // all of them may sign so, but for Cloudflare
    match front.issuer == ACCESS.issuer {
        true => answer.assert_refused(401, "invalid_token"),
        false => answer.assert_refused(503, "keys_unavailable"),
    }
}

#[test]
fn header_issuer_and_claims_can_be_overridden() {
    let key = Key::new("RS256");
    let more =
        "issuer = \"https://access.example.com\"\nheader = \"X-Assertion\"\nrequired_claims = { tier = 2 }";
    let app = ACCESS.app(&key, more);
    let there = [("iss", "\"https://access.example.com\""), ("tier", "2")];
    let bring = |header: &str, token: &str| app.get("/pandium-sso", &[(header, token)]);
    assert_eq!(bring("X-Assertion", &ACCESS.token(&key, &there)).status, 307);
    bring("X-Assertion", &ACCESS.token(&key, &there[..1])).assert_refused(401, "invalid_token");
    bring("X-Assertion", &ACCESS.token(&key, &there[1..])).assert_refused(401, "invalid_token");
    // what the preset requires is required beside
    let org = [&there[..], &[("type", "\"org\"")]].concat();
    bring("X-Assertion", &ACCESS.token(&key, &org)).assert_refused(401, "invalid_token");
    bring(ACCESS.header, &ACCESS.token(&key, &there)).assert_refused(401, "unauthenticated");
}

// T15
#[test]
fn cloudflare_accepts_app_tokens_of_persons_only() {
    let key = Key::new("RS256");
    let app = ACCESS.app(&key, "");
    let bring = |changed: &[(&str, &str)]| ACCESS.bring(&app, &ACCESS.token(&key, changed));
    assert_eq!(bring(&[("aud", "[\"another\",\"tag-1\"]")]).status, 307);
    for kind in ["\"org\"", "", "null", "\"App\"", "[\"app\"]", "true"] {
        bring(&[("type", kind)]).assert_refused(401, "invalid_token");
    }
    for email in ["", "\"\"", "null", "\"null\"", "[\"alice@example.com\"]"] {
        let service = [("email", email), ("common_name", "\"e367826f93b8d71185e03fe518aff3b4.access\"")];
        bring(&service).assert_refused(403, "not_allowed");
        // nor by another name for the subject
        bring(&[&service[..], &[("sub", "\"\"")]].concat()).assert_no_token();
    }
    // who has no token at all, but the cookie that Access sets beside it
    let cookie = format!("CF_Authorization={}", ACCESS.token(&key, &[]));
    app.get("/pandium-sso", &[("Cookie", &cookie)]).assert_refused(401, "unauthenticated");
    app.get("/pandium-sso", &[("Cf-Access-Authenticated-User-Email", "alice@example.com")])
        .assert_refused(401, "unauthenticated");
}

#[test]
fn iap_has_30_s_leeway_and_its_probes_are_unauthenticated() {
    let key = Key::new("ES256");
    let app = IAP.app(&key, "");
    let bring = |changed: &[(&str, &str)]| IAP.bring(&app, &IAP.token(&key, changed));
    for within in [("exp", "@-20"), ("iat", "@20"), ("nbf", "@20")] {
        assert_eq!(bring(&[within]).status, 307, "{within:?}");
    }
    bring(&[("exp", "@-31")]).assert_refused(401, "expired_token");
    bring(&[("iat", "@60")]).assert_refused(401, "invalid_token");
    let probe = [("User-Agent", "GoogleHC/1.0"), ("X-Goog-Authenticated-User-Email", "a:alice@example.com")];
    app.get("/pandium-sso", &probe).assert_refused(401, "unauthenticated");

    let strict = IAP.app(&key, "leeway_s = 0");
    IAP.bring(&strict, &IAP.token(&key, &[("exp", "@-1")])).assert_refused(401, "expired_token");
    assert_eq!(IAP.bring(&strict, &IAP.token(&key, &[])).status, 307);
}

// T9
#[test]
fn the_jwks_header_of_authentik_is_never_used() {
    let (key, attacker) = (Key::new("ES256"), Key::new("ES256"));
    let theirs = publishing(&[attacker.jwk(Some("k-1"))]);
    let app = AUTHENTIK.app(&key, "");
    let address = format!("{}/keys", theirs.origin());
    for (signer, status) in [(&attacker, 401), (&key, 307)] {
        let token = AUTHENTIK.token(signer, &[]);
        let headers = [
            ("X-authentik-jwt", token.as_str()),
            ("X-authentik-meta-jwks", &address),
            ("X-authentik-meta-provider", &theirs.origin()),
            ("X-authentik-email", "boss@example.com"),
        ];
        let answer = app.get("/pandium-sso", &headers);
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 307 {
            assert_eq!(Token::of(&answer).claims["sub"], "alice@example.com");
        }
    }
    app.lines();
    assert!(theirs.asked().is_empty());
}

/// A preset's settings, and the key of the one that is wrong.
#[rstest]
#[case::no_team("kind = \"cloudflare_access\"\naudience = \"a\"", "team")]
#[case::a_team_with_a_path(
    "kind = \"cloudflare_access\"\naudience = \"a\"\nteam = \"evil.example/x\"",
    "team"
)]
#[case::a_team_with_an_at("kind = \"cloudflare_access\"\naudience = \"a\"\nteam = \"x@evil\"", "team")]
#[case::an_empty_team("kind = \"cloudflare_access\"\naudience = \"a\"\nteam = \"\"", "team")]
#[case::no_tag("kind = \"cloudflare_access\"\nteam = \"acme\"", "audience")]
#[case::no_backend("kind = \"google_iap\"", "audience")]
#[case::anothers_setting("kind = \"google_iap\"\naudience = \"a\"\nteam = \"acme\"", "team")]
#[case::no_route("kind = \"pomerium\"", "route_host")]
#[case::a_route_with_a_scheme("kind = \"pomerium\"\nroute_host = \"https://sso.example.com\"", "route_host")]
#[case::no_issuer("kind = \"authentik\"\naudience = \"a\"", "issuer")]
#[case::nowhere_to_ask("kind = \"oathkeeper\"\naudience = \"a\"\nissuer = \"keeper\"", "jwks_url")]
#[case::no_such_front("kind = \"cloudflare\"\nteam = \"acme\"\naudience = \"a\"", "kind")]
#[case::no_audience("kind = \"oathkeeper\"\nissuer = \"https://keeper.example.com/\"", "audience")]
fn a_wrong_setting_is_named(#[case] settings: &str, #[case] named: &str) {
    let check = |settings: &str| {
        let config = File::new(&standard_with(settings));
        run(&["check", "--config", &config.text()])
    };
    let ran = check(settings);
    assert_eq!(ran.status, 78, "{ran:?}");
    assert!(ran.errors.contains(&format!("identity.{named}: ")), "{named} is not named: {}", ran.errors);
    for front in [ACCESS, IAP, POMERIUM, AUTHENTIK, OATHKEEPER] {
        assert_eq!(check(front.settings).status, 0, "{}", front.settings);
    }
}
