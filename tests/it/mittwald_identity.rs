//! Users of mStudio: authenticated by a retrieval key that is exchanged once, or by a session
//! token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketplace_sso::playground::mstudio::{Behaviour, Kind};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::mittwald::MittwaldService;
use crate::harness::store::Engine;
use crate::harness::{App, Response, Settings, Token, wait_until};

/// The path of the entrance.
const PATH: &str = "/mittwald/pandium-sso";

fn start(engine: Engine) -> MittwaldService {
    MittwaldService::start_with(engine, 1, settings)
}

fn settings(settings: Settings) -> Settings {
    settings
        .set("entrances.mittwald.path", PATH)
        .set("entrances.mittwald.identity.kind", "mittwald")
        .set("entrances.mittwald.claims.sub", "id")
        .set("entrances.mittwald.claims.ti.aid", "attributes.context_id")
        .set("entrances.mittwald.claims.ti.xti.instance", "attributes.extension_instance_id")
        .set("entrances.mittwald.claims.ti.xti.kind", "attributes.context_kind")
        .set("entrances.mittwald.claims.ti.xti.scopes", "attributes.scopes")
        .set("embed.cors_origins", ["https://studio.example"])
}

fn target(key: &str, user: Uuid, instance: Uuid) -> String {
    format!("{PATH}?atrek={key}&userId={user}&instanceId={instance}")
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn send(app: &App, token: &str) -> Response {
    app.get(PATH, &[("X-Session-Token", token), ("Accept", "application/json")])
}

fn claims(response: &Response) -> Value {
    Value::Object(Token::of(response).claims)
}

// T45
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_retrieval_key_signs_its_user_on_once(#[case] engine: Engine) {
    let service = start(engine);
    let instance = service.installed();
    let (key, user) = service.mstudio.open(instance, "alice@example.com");
    let target = target(&key, user, instance);
    let response = service.app.get(&format!("{target}&display=settings&integration_id=7"), &[]);
    assert_eq!(response.status, 307, "{response:?}");
    assert!(response.header("location").contains("display=settings"));
    let claims = claims(&response);
    assert_eq!((&claims["sub"], &claims["ti"]["uem"]), (&json!(user), &json!("alice@example.com")));
    assert_eq!(claims["ti"]["udn"], "Alice Example");
    let context = service.instances()[0]["context"]["id"].clone();
    assert_eq!((&claims["ti"]["aid"], &claims["ti"]["xti"]["kind"]), (&context, &json!("project")));
    assert_eq!(claims["ti"]["xti"]["instance"], json!(instance));
    assert_eq!(claims["ti"]["xti"]["scopes"], json!(["project:read", "app:write"]));

    // after a reload, the page explains the refusal and links back
    let reload = service.app.get(&target, &[("Accept", "text/html")]);
    assert_eq!(reload.status, 401);
    assert!(reload.page().contains("https://app.example.com/login"), "{}", reload.page());
    let event = service.app.audit_event_of(&reload);
    assert_eq!(event["reason"], "expired_token");
    assert!(event["detail"].as_str().unwrap().contains("used before"));
    let _ = service.app.log_lines();
    assert!(!service.app.output().contains(&key) && !service.app.output().contains("mstudio-user-token"));
}

// T45
#[test]
fn the_ids_of_the_query_prove_nothing() {
    let service = start(Engine::Sqlite);
    let (own, foreign) = (service.installed(), service.installed());
    let (key, user) = service.mstudio.open(own, "alice@example.com");
    let refused = |target: String, status: u16, reason: &str| {
        service.app.get(&target, &[]).assert_refused(status, reason);
    };
    refused(target(&key, Uuid::new_v4(), own), 401, "expired_token");
    refused(target("u-invented", user, own), 401, "expired_token");
    refused(target(&key, user, Uuid::new_v4()), 403, "not_allowed");
    // an instance that this user may not see; the key is used up
    refused(target(&key, user, foreign), 403, "not_allowed");
    refused(target(&key, user, own), 401, "expired_token");
}

// T45
#[test]
fn a_template_that_was_not_replaced_is_named() {
    let service = start(Engine::Sqlite);
    let query = "atrek=:accessTokenRetrievalKey&userId=:userId&instanceId=:extensionInstanceId";
    let response = service.app.get(&format!("{PATH}?{query}"), &[]);
    response.assert_refused(400, "bad_link");
    let detail = service.app.audit_event_of(&response)["detail"].clone();
    assert!(detail.as_str().unwrap().contains("did not replace the template"), "{detail}");
    assert!(service.mstudio.requests().is_empty());
    service.app.get(PATH, &[]).assert_refused(401, "unauthenticated");
}

// T45
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_disabled_or_removed_instance_is_refused(#[case] engine: Engine) {
    let service = start(engine);
    let instance = service.installed();
    let token = || service.mstudio.session_token(instance, now_s(), &json!({}));
    assert_eq!(send(&service.app, &token()).status, 200);
    service.mstudio.set_enabled(instance, false);
    service.tell(Kind::Updated, instance);
    let (key, user) = service.mstudio.open(instance, "alice@example.com");
    service.app.get(&target(&key, user, instance), &[]).assert_refused(403, "not_allowed");
    send(&service.app, &token()).assert_refused(403, "not_allowed");
    // the key was not used up
    service.mstudio.set_enabled(instance, true);
    service.tell(Kind::Updated, instance);
    assert_eq!(service.app.get(&target(&key, user, instance), &[]).status, 307);
    service.tell(Kind::Removed, instance);
    send(&service.app, &token()).assert_refused(403, "not_allowed");
}

#[test]
fn a_session_token_gets_json_with_cors() {
    let service = start(Engine::Sqlite);
    let instance = service.installed();
    let token = service.mstudio.session_token(instance, now_s(), &json!({}));
    let origin = ("Origin", "https://studio.example");
    let preflight = service.app.request(
        "OPTIONS",
        PATH,
        &[
            origin,
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "x-session-token"),
        ],
    );
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(preflight.header("access-control-allow-headers").contains("x-session-token"));
    let before = service.mstudio.requests().len();
    for _ in 0..3 {
        let headers = [origin, ("X-Session-Token", token.as_str()), ("Accept", "application/json")];
        let response = service.app.get(PATH, &headers);
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("access-control-allow-origin"), "https://studio.example");
        assert!(response.json()["url"].as_str().unwrap().contains("tenant="));
    }
    // only the key is requested from mittwald
    let requests = service.mstudio.requests();
    assert_eq!(requests.len() - before, 1, "{requests:?}");
    assert!(requests.last().unwrap().contains("purpose=session_token"), "{requests:?}");
}

// T45
#[rstest]
#[case::expired(json!({"exp": 1}), 401, "expired_token")]
#[case::no_expiry(json!({"exp": null}), 401, "invalid_token")]
#[case::not_yet(json!({"nbf": 99_999_999_999_u64}), 401, "invalid_token")]
#[case::other_extension(json!({"extensionId": "018f2c4e-0000-7000-8000-000000000001"}), 403, "not_allowed")]
#[case::unknown_instance(json!({"extensionInstanceId": "018f2c4e-0000-7000-8000-000000000001"}), 403, "not_allowed")]
#[case::other_context(json!({"contextId": "018f2c4e-0000-7000-8000-000000000001"}), 401, "invalid_token")]
#[case::path_as_serial(json!({"publicKeySerial": "../users/self"}), 401, "invalid_token")]
#[case::no_serial(json!({"publicKeySerial": null}), 401, "invalid_token")]
#[case::unknown_serial(json!({"publicKeySerial": "018f2c4e-0000-7000-8000-000000000001"}), 401, "invalid_token")]
#[case::no_user(json!({"sub": null}), 401, "invalid_token")]
#[case::scopes_of_another_type(json!({"scopes": "all"}), 401, "invalid_token")]
fn an_invalid_session_token_is_rejected(#[case] changes: Value, #[case] status: u16, #[case] reason: &str) {
    let service = start(Engine::Sqlite);
    let instance = service.installed();
    let token = service.mstudio.session_token(instance, now_s(), &changes);
    send(&service.app, &token).assert_refused(status, reason);
}

// T45
#[test]
fn a_client_with_random_keys_does_not_block_others() {
    let service = start(Engine::Sqlite);
    let instance = service.installed();
    let send_for = |client: &str, changes: &Value| {
        let token = service.mstudio.session_token(instance, now_s(), changes);
        let headers = [
            ("X-Session-Token", token.as_str()),
            ("X-Forwarded-For", client),
            ("Accept", "application/json"),
        ];
        service.app.get(PATH, &headers).status
    };
    let hostile: Vec<u16> = (0..20)
        .map(|_| send_for("203.0.113.66", &json!({"publicKeySerial": Uuid::new_v4().to_string()})))
        .collect();
    assert_eq!(hostile[..3], [401, 401, 503]);
    assert_eq!(send_for("198.51.100.7", &json!({})), 200);
}

// T45
#[test]
fn only_the_published_key_signs_session_tokens() {
    let service = start(Engine::Sqlite);
    let instance = service.installed();
    let genuine = service.mstudio.session_token(instance, now_s(), &json!({}));
    let [header, claims, signature] = genuine.split('.').collect::<Vec<_>>().try_into().unwrap();
    let key = Ed25519KeyPair::generate().unwrap();
    let by_another_key = URL_SAFE_NO_PAD.encode(key.sign(format!("{header}.{claims}").as_bytes()));
    let of = |algorithm: &str| URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "typ": "JWT"}).to_string());
    for forged in [
        format!("{header}.{claims}.{by_another_key}"),
        format!("{header}.{claims}."),
        format!("{}.{claims}.", of("none")),
        format!("{}.{claims}.{signature}", of("none")),
        format!("{}.{claims}.{signature}", of("HS256")),
    ] {
        send(&service.app, &forged).assert_refused(401, "invalid_token");
    }
    assert_eq!(send(&service.app, &genuine).status, 200);
}

// T45
#[test]
fn an_instance_disabled_during_the_request_is_refused() {
    let service = start(Engine::Sqlite);
    let instance = service.installed();
    let (key, user) = service.mstudio.open(instance, "alice@example.com");
    service.mstudio.behave(Behaviour::Held);
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| service.app.get(&target(&key, user, instance), &[]));
        let is_exchanged = |request: &String| request.contains("authenticate-token-retrieval-key");
        wait_until("the exchange", || service.mstudio.requests().iter().any(is_exchanged));
        service.mstudio.set_enabled(instance, false);
        service.tell(Kind::Updated, instance);
        service.mstudio.behave(Behaviour::Works);
        opened.join().unwrap().assert_refused(403, "not_allowed");
    });
}

// T45
#[rstest]
#[case::slow(Behaviour::Slow(Duration::from_secs(8)))]
#[case::failing(Behaviour::Status(500))]
#[case::limited(Behaviour::Status(429))]
#[case::lying(Behaviour::WrongTypes)]
#[case::down(Behaviour::Down)]
fn a_failing_mstudio_signs_no_user_on(#[case] behaviour: Behaviour) {
    let impatient = |own: Settings| settings(own).set("mittwald.timeout_s", 3);
    let service = MittwaldService::start_with(Engine::Sqlite, 1, impatient);
    let instance = service.installed();
    let (key, user) = service.mstudio.open(instance, "alice@example.com");
    service.mstudio.behave(behaviour);
    let before = service.mstudio.requests().len();
    let response = service.app.get(&target(&key, user, instance), &[]);
    response.assert_refused(503, "upstream_unavailable");
    // the exchange is never repeated
    assert_eq!(service.mstudio.requests().len() - before, 1);
    let token = service.mstudio.session_token(instance, now_s(), &json!({}));
    send(&service.app, &token).assert_refused(503, "keys_unavailable");
}

#[test]
fn without_an_extension_the_kind_is_a_mistake() {
    let settings = Settings::of_kind("mittwald").set("claims.sub", "id");
    settings.assert_wrong("identity.kind", "there is no extension of mittwald");
}
