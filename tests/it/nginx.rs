//! The recipes for nginx in `docs/recipes.md`, word for word, in a real nginx:
//! only a login decides who arrives, whatever a client sends beside it.

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::nginx::Nginx;
use crate::harness::{Answer, App, Field, Token};

/// A recipe, what stands in for the login that it asks, and the service's side.
#[derive(Clone, Copy)]
struct Recipe {
    heading: &'static str,
    login_port: &'static str,
    login: &'static str,
    service: &'static str,
    alice: &'static str,
}

/// Whoever has the cookie is Alice.
const OAUTH2_PROXY: Recipe = Recipe {
    heading: "nginx and oauth2-proxy",
    login_port: "127.0.0.1:4180",
    login: r#"
        location = /oauth2/auth {
            if ($email = "") { return 401; }
            add_header X-Auth-Request-Email  $email always;
            add_header X-Auth-Request-Groups $groups always;
            return 202;
        }"#,
    service: "",
    alice: "alice@example.com",
};

const OWN_SESSIONS: Recipe = Recipe {
    heading: "nginx and your own sessions",
    login_port: "127.0.0.1:3000",
    login: r#"
        location = /internal/session {
            if ($email = "") { return 401; }
            add_header X-User-Id     u-1 always;
            add_header X-User-Email  $email always;
            add_header X-User-Groups $groups always;
            return 200;
        }"#,
    service: r#"
        [identity]
        preset = "custom"
        [identity.headers]
        id = "X-User-Id"
        email = "X-User-Email"
        name = "X-User-Name"
        groups = "X-User-Groups"
        attributes.plan = "X-User-Plan"
        [claims]
        sub = "id"
        "#,
    alice: "u-1",
};

const COOKIES: &str = r#"
map $cookie_session $email  { alice "alice@example.com"; default ""; }
map $cookie_session $groups { alice "staff,ops"; default ""; }
"#;

const ALICES_COOKIE: Field<'static> = ("Cookie", "session=alice");
const HTML: Field<'static> = ("Accept", "text/html");

/// nginx as the recipe has it, before a service.
struct Front {
    nginx: Nginx,
    app: App,
}

impl Front {
    fn start(recipe: Recipe, by_socket: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let claims = format!("{}\n[claims.meta]\ngroups = \"groups\"", recipe.service);
        let app = if by_socket {
            App::start(&format!(
                "{claims}\n[server]\nlisten = \"unix:{place}/sso.sock\"\n[identity]\ntrusted_proxies = []"
            ))
        } else {
            App::start(&claims)
        };
        let service = if by_socket { format!("unix:{place}/sso.sock") } else { app.address().to_string() };
        let login = format!("{COOKIES}server {{ listen unix:{place}/login.sock; {} }}", recipe.login);
        let front = text_of(recipe)
            .replace("listen 443 ssl;", &format!("listen unix:{place}/front.sock;"))
            .replace("127.0.0.1:8080", &service)
            .replace(recipe.login_port, &format!("unix:{place}/login.sock"));
        let front: Vec<&str> =
            front.lines().filter(|line| !line.trim_start().starts_with("ssl_certificate")).collect();
        let nginx = Nginx::start(folder, &format!("{login}\n{}", front.join("\n")));
        Self { nginx, app }
    }

    fn get(&self, target: &str, headers: &[Field<'_>]) -> Answer {
        self.nginx.get(target, headers)
    }
}

/// The nginx block of a recipe.
fn text_of(recipe: Recipe) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipes.md");
    let recipes = std::fs::read_to_string(path).unwrap();
    let (_, section) = recipes.split_once(&format!("\n## {}\n", recipe.heading)).unwrap();
    let (_, block) = section.split_once("\n```nginx\n").unwrap();
    block.split("\n```").next().unwrap().to_owned()
}

#[rstest]
#[case::by_port(OAUTH2_PROXY, false)]
#[case::by_socket(OAUTH2_PROXY, true)]
#[case::own_sessions(OWN_SESSIONS, false)]
fn who_has_logged_in_is_sent_on(#[case] recipe: Recipe, #[case] by_socket: bool) {
    let front = Front::start(recipe, by_socket);
    let answer = front.get("/pandium-sso", &[ALICES_COOKIE, HTML]);
    let token = Token::of(&answer);
    assert_eq!(token.claims["sub"], recipe.alice);
    assert_eq!(token.claims["ti"]["uem"], "alice@example.com");
    assert_eq!(token.claims["meta"]["groups"], serde_json::json!(["staff", "ops"]));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-security-policy"), "frame-ancestors https://app.example.com");

    let deeper = front.get("/pandium-sso/install/1121?display=settings", &[ALICES_COOKIE]);
    let token = Token::of(&deeper);
    assert_eq!(
        (token.address.path(), token.link().as_str()),
        ("/acme/tenants/create/1121", "display=settings")
    );
}

#[rstest]
#[case::by_port(OAUTH2_PROXY, false)]
#[case::by_socket(OAUTH2_PROXY, true)]
#[case::own_sessions(OWN_SESSIONS, false)]
fn who_has_not_gets_our_page(#[case] recipe: Recipe, #[case] by_socket: bool) {
    let front = Front::start(recipe, by_socket);
    for cookie in [None, Some(("Cookie", "session=mallory"))] {
        let headers: Vec<Field<'_>> = cookie.into_iter().chain([HTML]).collect();
        let page = front.get("/pandium-sso", &headers);
        assert_eq!(page.status, 401);
        page.assert_no_token();
        assert!(page.page().contains("https://app.example.com/login") && page.page().contains("no_identity"));
        assert!(page.header("content-security-policy").contains("frame-ancestors https://app.example.com"));
    }
    front.get("/pandium-sso", &[]).assert_refused(401, "no_identity");
}

const FORGED: &[&[Field<'static>]] = &[
    &[("X-Auth-Request-Email", "boss@example.com")],
    &[("x-auth-request-email", "boss@example.com")],
    &[("X_Auth_Request_Email", "boss@example.com")],
    &[("x_auth_request_email", "boss@example.com")],
    &[("X.Auth.Request.Email", "boss@example.com")],
    &[("X-Auth-Request-Email", "boss@example.com"), ("X-Auth-Request-Email", "boss@example.com")],
    &[("X-Auth-Request-Email", "boss@example.com"), ("Connection", "X-Auth-Request-Email")],
    &[("X-Auth-Request-User", "boss"), ("X-Auth-Request-Preferred-Username", "boss")],
    &[("X-Auth-Request-Groups", "admins")],
    &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Email", "boss@example.com")],
    &[("X-User-Email", "boss@example.com"), ("X-User-Id", "boss")],
    &[("X_User_Email", "boss@example.com"), ("X-User-Plan", "gold"), ("X-User-Name", "Boss")],
    &[("X-User-Groups", "admins"), ("Connection", "X-User-Email")],
    &[("Remote-User", "boss"), ("X-Original-URL", "/oauth2/auth")],
];

#[rstest]
#[case::by_port(OAUTH2_PROXY, false)]
#[case::by_socket(OAUTH2_PROXY, true)]
#[case::own_sessions(OWN_SESSIONS, false)]
fn what_a_client_forges_changes_nothing(#[case] recipe: Recipe, #[case] by_socket: bool) {
    let front = Front::start(recipe, by_socket);
    let usual = Token::of(&front.get("/pandium-sso", &[ALICES_COOKIE])).claims;
    for forged in FORGED {
        front.get("/pandium-sso", forged).assert_refused(401, "no_identity");
        let claims = Token::of(&front.get("/pandium-sso", &[forged, &[ALICES_COOKIE][..]].concat())).claims;
        for claim in ["sub", "ti", "meta"] {
            assert_eq!(claims[claim], usual[claim], "{forged:?}");
        }
        assert_eq!(claims.len(), usual.len(), "{forged:?}");
    }
}

#[test]
fn without_nginx_between_the_same_header_is_believed_only_from_where_it_stands() {
    let front = Front::start(OAUTH2_PROXY, false);
    // this is nginx's own address: the control that shows what nginx takes away
    assert_eq!(front.app.get("/pandium-sso", FORGED[0]).status, 307);
}
