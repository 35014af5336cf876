//! `/v1/verify`, with which proxies authenticate requests to an API: the rules of the entrance,
//! without signing a token.

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::issuer::{Changes, Key, claims_with, key_and_file};
use crate::harness::key_server::{Behaviour, KeyServer, fetching, serve_keys};
use crate::harness::nginx::Nginx;
use crate::harness::tree::{read, root};
use crate::harness::{ALICE, App, Field, Response, Settings, Token};
use crate::platforms::commercetools::{CLOUD, Gateway, VERSION};

const VERIFY: &str = "/v1/verify/pandium-sso";

const STAFF: &[(&str, &str)] = &[("groups", "[\"staff\",\"ops\"]"), ("name", "\"Alice\"")];

/// A service with changed settings, and the key of its tokens.
fn start(change: impl FnOnce(Settings) -> Settings) -> (Key, App) {
    let (key, file) = key_and_file();
    (key, App::start(change(Settings::bearer().jwks_file(&file))))
}

fn headers_of(response: &Response) -> [String; 3] {
    ["user", "email", "groups"].map(|name| response.all(&format!("x-auth-request-{name}")).join(" and "))
}

#[test]
fn the_user_is_returned_in_headers_and_json() {
    let (key, app) = start(|settings| settings);
    let response = app.send_token_to(VERIFY, &key.token_with(STAFF));
    assert_eq!(response.status, 200);
    assert_eq!(headers_of(&response), ["u-1", "alice@example.com", "staff,ops"]);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    assert_eq!(response.header("cross-origin-resource-policy"), "same-origin");
    let body = response.json();
    assert_eq!(body["entrance"], "pandium-sso");
    let user = &body["user"];
    let expected = [("id", json!("u-1")), ("email", json!("alice@example.com")), ("name", json!("Alice"))];
    for (name, value) in expected.into_iter().chain([("groups", json!(["staff", "ops"]))]) {
        assert_eq!(user[name], value, "{name}");
    }
    assert_eq!(user["token"]["iss"], "https://login.example.com/");
}

#[test]
fn verify_signs_nothing_and_records_no_hand_off() {
    let (key, app) = start(|settings| settings);
    let response = app.send_token_to(VERIFY, &key.token());
    assert_eq!(response.status, 200);
    response.assert_no_token();
    assert!(!response.has("set-cookie") && !response.has("location"));
    let event = app.audit_event_of(&response);
    assert_eq!((&event["outcome"], &event["entrance"]), (&json!("verified"), &json!("pandium-sso")));
    assert_eq!(event["jti"], Value::Null);
    let handed = [("entrance", "pandium-sso"), ("environment", "sandbox")];
    assert!(app.metric("marketplace_sso_handoffs_total", &handed) < 0.5);
    assert!(
        app.metric("marketplace_sso_requests_total", &[("entrance", "pandium-sso"), ("code", "200")]) > 0.5
    );

    // the audit events of verification and hand-off name the same subject
    let sent = app.send_token(&key.token());
    assert_eq!(app.audit_event_of(&sent)["subject"], event["subject"]);
    app.wait_for_metric("marketplace_sso_handoffs_total", &handed, 1.0);
    for line in app.log_lines() {
        assert!(!line.to_string().contains("alice"), "{line}");
    }
}

/// Changed claims, and the three response headers.
#[test]
fn ambiguous_values_are_left_out_of_the_headers() {
    let (key, app) = start(|settings| settings.set("claims.sub", "id"));
    let cases: [(&Changes<'_>, [&str; 3]); 12] = [
        (&[("groups", "[\"a,b\",\"ops\"]")], ["u-1", "alice@example.com", "ops"]),
        (&[("groups", "[\"admins,staff\"]")], ["u-1", "alice@example.com", ""]),
        (&[("sub", "\"a,b\"")], ["", "alice@example.com", ""]),
        (&[("sub", "\"a;b\"")], ["", "alice@example.com", ""]),
        (&[("sub", "\"a\\\"b\"")], ["", "alice@example.com", ""]),
        (&[("sub", "\"a b\"")], ["", "alice@example.com", ""]),
        (&[("email", "\"a,b@example.com\"")], ["u-1", "", ""]),
        (&[("groups", "[]")], ["u-1", "alice@example.com", ""]),
        (&[("groups", "\"ops\"")], ["u-1", "alice@example.com", "ops"]),
        (
            &[
                ("sub", "\"jürgen-Ω\""),
                ("email", "\"jürgen@exämple.com\""),
                ("groups", "[\"größe\",\"社員\"]"),
            ],
            ["jürgen-Ω", "jürgen@exämple.com", "größe,社員"],
        ),
        (&[("email", "")], ["u-1", "", ""]),
        (&[("email_verified", "false")], ["u-1", "", ""]),
    ];
    for (changed, headers) in cases {
        let response = app.send_token_to(VERIFY, &key.token_with(changed));
        assert_eq!(
            (response.status, headers_of(&response)),
            (200, headers.map(str::to_owned)),
            "{changed:?}"
        );
        if let Some((_, groups)) =
            changed.iter().find(|(name, _)| *name == "groups").filter(|(_, g)| g.starts_with('['))
        {
            assert_eq!(response.json()["user"]["groups"], serde_json::from_str::<Value>(groups).unwrap());
        }
    }
}

#[rstest]
#[case::the_id(&[], ["u-1", "alice@example.com"])]
#[case::not_the_user_name(&["id"], ["", "alice@example.com"])]
#[case::not_the_email(&["id", "username"], ["", "alice@example.com"])]
fn the_user_header_is_the_id_only(#[case] absent: &[&str], #[case] expected: [&str; 2]) {
    let (key, app) = start(|settings| without_fields(settings, absent));
    let response = app.send_token_to(VERIFY, &key.token_with(&[("preferred_username", "\"alice\"")]));
    assert_eq!(headers_of(&response)[..2], expected);
}

/// The settings with these fields of a user left empty.
fn without_fields(settings: Settings, fields: &[&str]) -> Settings {
    fields.iter().fold(settings, |settings, field| settings.identity(&format!("user.{field}"), ""))
}

#[test]
fn a_user_without_any_identifier_is_unauthenticated() {
    let (key, app) = start(|settings| without_fields(settings, &["id", "username"]));
    assert_eq!(app.send_token_to(VERIFY, &key.token()).status, 200);
    let unconfirmed = key.token_with(&[("email_verified", "false")]);
    app.send_token_to(VERIFY, &unconfirmed).assert_refused(401, "unauthenticated");
}

// T20
#[test]
fn cookies_of_cross_site_requests_are_refused() {
    let (key, app) = start(|settings| settings.identity("cookie", "session"));
    let cookie = format!("session={}", key.token());
    let request =
        |more: &[Field<'_>]| app.request("POST", VERIFY, &[&[("Cookie", cookie.as_str())], more].concat());
    assert_eq!(request(&[]).status, 200);
    let by_script = ("Sec-Fetch-Dest", "empty");
    let (own, elsewhere) = (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"));
    let (evil, app_page) = (("Origin", "https://evil.example"), ("Origin", "https://app.example.com"));
    let api_page = ("Origin", "https://api.example.org");
    let allowed: [&[Field<'_>]; 4] = [
        &[by_script, own],
        &[by_script, own, app_page],
        &[by_script, own, api_page],
        &[by_script, elsewhere, app_page],
    ];
    for allowed in allowed {
        assert_eq!(request(allowed).status, 200, "{allowed:?}");
    }
    assert_eq!(request(&[app_page]).status, 200);
    let refused: &[&[Field<'_>]] = &[
        &[by_script, elsewhere],
        &[by_script, elsewhere, evil],
        &[by_script, ("Sec-Fetch-Site", "same-site"), evil],
        &[by_script, ("Sec-Fetch-Site", "same-site"), ("Origin", "https://sso.example.org:8443")],
        &[by_script, own, own],
        &[by_script, ("Sec-Fetch-Site", "near")],
        &[own],
        &[evil],
        &[("Origin", "null")],
        &[app_page, evil],
    ];
    for fields in refused {
        request(fields).assert_refused(403, "cross_site_request");
    }
}

#[test]
fn cookies_are_accepted_on_every_configured_host() {
    let (key, app) =
        start(|settings| settings.identity("cookie", "session").set("server.hosts", ["api.example.com"]));
    let cookie = format!("session={}", key.token());
    let request = |origin| app.request("POST", VERIFY, &[("Cookie", cookie.as_str()), ("Origin", origin)]);
    assert_eq!(request("https://api.example.com").status, 200);
    for origin in
        ["https://api.example.com.evil.example", "http://127.0.0.1:3000", "https://x.api.example.com"]
    {
        request(origin).assert_refused(403, "cross_site_request");
    }
}

#[test]
fn a_value_that_would_break_a_header_is_refused() {
    let (key, app) = start(|settings| settings);
    for bad in ["\"a\\r\\nX-Auth-Request-User: boss\"", "\"a\\u0000\"", "\"a\\u202eb\""] {
        for name in ["sub", "email", "groups"] {
            let response = app.send_token_to(VERIFY, &key.token_with(&[(name, bad)]));
            assert!(matches!(response.status, 400 | 401), "{name}: {bad}: {response:?}");
            assert_eq!(headers_of(&response), ["", "", ""]);
        }
    }
    assert_eq!(app.send_token_to(VERIFY, &key.token()).status, 200);
}

#[test]
fn verify_refuses_for_the_same_reasons_as_the_entrance() {
    let (key, app) = start(|settings| {
        let settings = settings.set("access.groups", ["staff"]).set("access.denied_groups", ["guests"]);
        settings.set("access.email_domains", ["example.com"])
    });
    let tokens = [
        (key.token_with(STAFF), 200, ""),
        (key.token(), 403, "not_allowed"),
        (key.token_with(&[("groups", "[\"staff\",\"guests\"]")]), 403, "not_allowed"),
        (key.token_with(&[STAFF, &[("email", "\"alice@evil.example\"")]].concat()), 403, "not_allowed"),
        (key.token_with(&[STAFF, &[("exp", "@-1")]].concat()), 401, "expired_token"),
        (key.token_with(&[STAFF, &[("iss", "\"https://evil.example/\"")]].concat()), 401, "invalid_token"),
        (key.token_with(&[STAFF, &[("email", "\"a@b@example.com\"")]].concat()), 400, "bad_identity"),
        (Key::new("ES256").token_with(STAFF), 401, "invalid_token"),
        ("no.token.".to_owned(), 401, "invalid_token"),
    ];
    for (token, status, reason) in &tokens {
        let (here, there) = (app.send_token_to(VERIFY, token), app.send_token(token));
        assert_eq!((here.status, here.reason().as_str()), (*status, *reason));
        assert_eq!(there.reason(), *reason);
        if *status != 200 {
            here.assert_refused(*status, reason);
            assert_eq!(headers_of(&here), ["", "", ""]);
            assert_eq!(app.audit_event_of(&here)["outcome"], "refused");
        }
    }
    let anonymous = app.get(VERIFY, &[]);
    anonymous.assert_refused(401, "unauthenticated");
    assert_eq!(anonymous.header("www-authenticate"), "Bearer");
    // request headers with the names of the response headers are not echoed
    let forged = [("X-Auth-Request-User", "boss"), ("X-Auth-Request-Email", "boss@example.com")];
    let response = app.get(VERIFY, &forged);
    response.assert_refused(401, "unauthenticated");
    assert_eq!(headers_of(&response), ["", "", ""]);
}

#[test]
fn missing_keys_give_503() {
    let key = Key::new("ES256");
    let server = KeyServer::start(Behaviour::Down).unwrap();
    let app = App::start_ready(fetching(&server.origin()));
    let response = app.send_token_to(VERIFY, &key.token_with_kid("k-1"));
    response.assert_refused(503, "keys_unavailable");
    assert!(response.has("retry-after"));
    let good = App::start_ready(fetching(&serve_keys(&[key.jwk(Some("k-1"))]).origin()));
    assert_eq!(good.send_token_to(VERIFY, &key.token_with_kid("k-1")).status, 200);
}

#[test]
fn verify_accepts_any_method_and_subpath() {
    let (key, app) = start(|settings| settings);
    let bearer = format!("Bearer {}", key.token());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", "https://evil.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Sec-Fetch-Dest", "image"),
        ("Sec-Purpose", "prefetch"),
        ("Content-Length", "0"),
    ];
    let below = ["", "/", "/api/orders", "/../livez", "//x", "?tenant=x&unknown=1", "/a?b=c"];
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        for rest in below {
            let target = format!("{VERIFY}{rest}");
            assert_eq!(app.request(method, &target, &headers).status, 200, "{method} {target}");
            assert_eq!(app.request(method, &target, &headers[1..]).status, 401, "{method} {target}");
        }
    }
}

#[test]
fn verify_matches_entrance_names_exactly() {
    let (key, app) = start(|settings| settings);
    for path in [
        "/v1/verify",
        "/v1/verify/",
        "/v1/verify//pandium-sso",
        "/v1/verify/nobody",
        "/v1/verify/Pandium-SSO",
        "/v1/verify/pandium-sso-x",
        "/v1/verify/pandium%2dsso",
        "/v1/verify/pandium-sso%2f",
        "/v1/Verify/pandium-sso",
        "//v1/verify/pandium-sso",
    ] {
        app.send_token_to(path, &key.token()).assert_refused(404, "not_found");
    }
    assert_eq!(app.send_token_to(VERIFY, &key.token()).status, 200);
    assert_eq!(app.admin(VERIFY).status, 404);
}

#[test]
fn verify_selects_the_entrance_by_name() {
    let (ours, theirs) = (Key::new("ES256"), Key::new("ES256"));
    let servers = [serve_keys(&[ours.jwk(Some("k-1"))]), serve_keys(&[theirs.jwk(Some("k-1"))])];
    let [a, b] = servers.each_ref().map(|server| fetching(&server.origin()));
    let app = App::start_ready(Settings::standard().entrance("a", &a).entrance("b", &b));
    for (name, own, other) in [("a", &ours, &theirs), ("b", &theirs, &ours)] {
        let target = format!("/v1/verify/{name}");
        let response = app.send_token_to(&target, &own.token_with_kid("k-1"));
        assert_eq!((response.status, &response.json()["entrance"]), (200, &json!(name)));
        app.send_token_to(&target, &other.token_with_kid("k-1")).assert_refused(401, "invalid_token");
    }
    // proxies forward client headers, so entrances with unsigned headers cannot be verified
    app.get(VERIFY, ALICE).assert_refused(404, "not_found");
}

#[test]
fn commercetools_audiences_can_be_any_own_url() {
    let gateway = Gateway::start();
    let app = App::start_ready(gateway.settings().set("claims.sub", "id"));
    let request = |audience: &str| {
        let bearer = format!("Bearer {}", gateway.for_audience(audience));
        app.get(VERIFY, &[("Authorization", &bearer), CLOUD, VERSION])
    };
    for ours in ["https://sso.example.com", "https://sso.example.com/", "https://sso.example.com/api/orders"]
    {
        assert_eq!(headers_of(&request(ours))[0], "user-1", "{ours}");
    }
    for other in [
        "https://sso.example.com.evil.example/",
        "https://sso.example.com@evil.example/",
        "https://sso.example.com:8443/",
        "http://sso.example.com/api",
        "https://SSO.example.com/api",
        "sso.example.com/api",
        "",
    ] {
        request(other).assert_refused(401, "invalid_token");
    }
}

/// The nginx block of `docs/verify.md` in front of a stand-in API that echoes the
/// identity headers.
fn nginx_before_an_api(app: &App) -> Nginx {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap().to_owned();
    let text = read(&root().join("docs/verify.md"));
    let (_, block) = text.split_once("\n```nginx\n").unwrap();
    let block = block.split("\n```").next().unwrap();
    let there = format!("{}/v1/verify/pandium-sso", app.address());
    let block = block
        .replace("127.0.0.1:3000", &format!("unix:{dir}/api.sock"))
        .replace("127.0.0.1:8080/v1/verify/appdirect", &there);
    assert!(block.contains(&there) && block.contains("api.sock"), "{block}");
    let api = "default_type text/plain; location / { return 200 \
               \"$request_method $http_x_auth_request_user|$http_x_auth_request_email|$http_x_auth_request_groups\"; }";
    Nginx::start(
        folder,
        &format!(
            "server {{ listen unix:{dir}/api.sock; {api} }}\nserver {{ listen unix:{dir}/front.sock; {block} }}"
        ),
    )
}

#[test]
fn nginx_auth_request_protects_an_api() {
    let (key, app) =
        start(|settings| settings.set("access.denied_groups", ["guests"]).set("claims.sub", "id"));
    let nginx = nginx_before_an_api(&app);
    let staff = format!("Bearer {}", key.token_with(STAFF));
    let known = ("Authorization", staff.as_str());
    let response = nginx.get("/api/orders?tenant=x", &[known]);
    assert_eq!((response.status, response.text().as_str()), (200, "GET u-1|alice@example.com|staff,ops"));
    let posted = nginx.request("POST", "/api/orders", &[known, ("Content-Length", "0")]);
    assert_eq!(posted.text(), "POST u-1|alice@example.com|staff,ops");

    let forged = [
        ("X-Auth-Request-User", "boss"),
        ("X-Auth-Request-Email", "boss@example.com"),
        ("X-Auth-Request-Groups", "admins"),
        ("X_Auth_Request_User", "boss"),
    ];
    assert_eq!(
        nginx.get("/api/", &[&forged[..], &[known]].concat()).text(),
        "GET u-1|alice@example.com|staff,ops"
    );
    // if the user has no such value, the client's header is replaced by an empty one
    let bare = format!("Bearer {}", key.sign(r#"{"alg":"ES256"}"#, &claims_with(&[("email", "")])));
    let response = nginx.get("/api/", &[&forged[..], &[("Authorization", bare.as_str())]].concat());
    assert_eq!(response.text(), "GET u-1||");

    let guest = format!("Bearer {}", key.token_with(&[("groups", "[\"guests\"]")]));
    let late = format!("Bearer {}", key.token_with(&[("exp", "@-1")]));
    for (headers, status) in [
        (vec![], 401),
        (forged.to_vec(), 401),
        (vec![("Authorization", late.as_str())], 401),
        (vec![("Authorization", "Bearer x.y.z")], 401),
        (vec![("Authorization", guest.as_str())], 403),
    ] {
        let response = nginx.get("/api/orders", &headers);
        assert_eq!(response.status, status, "{headers:?}");
        assert!(!response.text().contains("boss") && !response.text().contains('|'));
    }
    // the verification location is internal
    assert_eq!(nginx.get("/verify", &[known]).status, 404);
    assert_eq!(Token::of(&app.send_token(&key.token())).claims["sub"], "u-1");
}
