//! Lifecycle webhooks of mittwald, on both engines: which are accepted, what they change in any
//! order and number, and which are refused without storing anything.

use marketplace_sso::playground::mstudio::{Behaviour, Kind, SignatureFields};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::mittwald::{MittwaldService, PATH, URL, post, post_for, request};
use crate::harness::store::{Engine, block_on};
use crate::harness::{App, Connection, Settings, wait_until};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_webhook_of_each_kind_changes_the_instance(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.installed();
    let [instance] = service.instances().try_into().unwrap();
    assert_eq!(instance["id"], json!(id));
    assert_eq!(instance["extension_id"], json!(service.mstudio.extension_id()));
    assert_eq!(instance["context"]["kind"], "project");
    assert_eq!(instance["scopes"], json!(["project:read", "app:write"]));
    assert_eq!((&instance["enabled"], &instance["has_secret"]), (&json!(true), &json!(true)));
    assert_eq!(instance["variant"], "pro");

    service.mstudio.set_enabled(id, false);
    service.tell(Kind::Updated, id);
    assert_eq!(service.instances()[0]["enabled"], false);

    service.mstudio.rotate(id);
    service.tell(Kind::SecretRotated, id);
    service.mstudio.remove(id);
    service.tell(Kind::Removed, id);
    assert!(service.instances().is_empty());

    let outcomes: Vec<Value> = service.app.audit_events();
    let outcomes: Vec<&Value> = outcomes
        .iter()
        .filter(|event| event["instance_id"] == json!(id))
        .map(|event| &event["outcome"])
        .collect();
    assert_eq!(outcomes, ["instance_added", "instance_updated", "secret_rotated", "instance_removed"]);
}

#[test]
fn every_spelling_of_a_kind_is_accepted() {
    let service = MittwaldService::start(Engine::Sqlite);
    for kind in [Kind::Added, Kind::Updated, Kind::SecretRotated, Kind::Removed] {
        for name in kind.spellings() {
            let webhook = service.mstudio.webhook(kind, service.mstudio.install(), URL);
            assert_eq!(service.deliver(&webhook.with("/kind", *name)).status, 204, "{name}");
        }
    }
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let response = service.deliver(&webhook.with("/kind", "ExtensionForgotten"));
    response.assert_refused(400, "bad_request");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn late_and_repeated_webhooks_end_in_the_same_state(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.mstudio.install();
    let make = |kind| service.mstudio.webhook(kind, id, URL);
    let added = make(Kind::Added);
    service.mstudio.set_enabled(id, false);
    let disabled = make(Kind::Updated);
    service.mstudio.set_enabled(id, true);
    let enabled = make(Kind::Updated);
    for webhook in [&enabled, &disabled, &added, &disabled.clone().again(), &enabled.clone().again()] {
        assert_eq!(service.deliver(webhook).status, 204);
    }
    let [instance] = service.instances().try_into().unwrap();
    assert_eq!((&instance["enabled"], &instance["has_secret"]), (&json!(true), &json!(true)));
    let events = service.app.audit_events();
    assert!(events.iter().any(|event| event["outcome"] == "webhook_ignored"));
}

// T41
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_late_installation_does_not_restore_an_instance(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.mstudio.install();
    let added = service.mstudio.webhook(Kind::Added, id, URL);
    let removed = service.mstudio.webhook(Kind::Removed, id, URL);
    // an instance that is not known
    assert_eq!(service.deliver(&removed).status, 204);
    assert_eq!(service.deliver(&added).status, 204);
    assert!(service.instances().is_empty());
    service.tell(Kind::Added, id);
    assert_eq!(service.instances().len(), 1);
}

// T41
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_replayed_webhook_is_refused(#[case] engine: Engine) {
    let service = MittwaldService::start_with(engine, 2, |settings| settings);
    let id = service.mstudio.install();
    let webhook = service.mstudio.webhook(Kind::Added, id, URL);
    assert_eq!(service.deliver(&webhook).status, 204);
    for app in [&service.app, &service.others[0]] {
        let response = service.deliver_to(app, &webhook);
        response.assert_refused(403, "not_allowed");
    }
    assert_eq!(service.deliver(&webhook.again()).status, 204);
}

#[test]
fn a_dry_run_is_accepted_and_stores_nothing() {
    let service = MittwaldService::start(Engine::Sqlite);
    let query = "dry-run=true&executing-user-id=018f2c4e-0000-7000-8000-000000000001";
    let target = format!("{PATH}?{query}");
    for url in [URL.to_owned(), format!("{URL}?{query}")] {
        let body = service.mstudio.webhook(Kind::Added, service.mstudio.install(), &url).bytes();
        let response = post(&service.app, &target, &service.mstudio.sign(&body), &body);
        assert_eq!(response.status, 204, "{response:?}");
        assert_eq!(service.app.audit_event_of(&response)["outcome"], "webhook_dry_run");
        // it cannot be replayed, with or without the query
        post(&service.app, &target, &service.mstudio.sign(&body), &body).assert_refused(403, "not_allowed");
        post(&service.app, PATH, &service.mstudio.sign(&body), &body).assert_refused(403, "not_allowed");
        // a dry run is verified, too
        let forged = service.mstudio.forge(&body).unwrap();
        post(&service.app, &target, &forged, &body).assert_refused(401, "invalid_token");
    }
    // the signed URL says that it is a dry run
    let body = service.mstudio.webhook(Kind::Added, service.mstudio.install(), &format!("{URL}?{query}"));
    service.deliver(&body).assert_refused(403, "not_allowed");
    assert!(service.instances().is_empty());
}

/// The argument is a change that is made before the body is signed.
// T41
#[rstest]
#[case::other_extension("/meta/extensionId", json!("018f2c4e-0000-7000-8000-000000000001"), 403)]
#[case::other_host("/request/target/url", json!("https://evil.example/mittwald/webhooks"), 403)]
#[case::other_path("/request/target/url", json!("https://app.example.com/mittwald/webhooks/"), 403)]
#[case::other_query("/request/target/url", json!("https://app.example.com/mittwald/webhooks?x=1"), 403)]
#[case::other_method("/request/target/method", json!("PUT"), 403)]
#[case::stale("/request/createdAt", json!("2020-01-01T00:00:00Z"), 403)]
#[case::ahead("/request/createdAt", json!("2099-01-01T00:00:00Z"), 403)]
#[case::not_a_time("/request/createdAt", json!("1h"), 400)]
#[case::other_version("/apiVersion", json!("v2"), 400)]
#[case::instance_is_no_uuid("/id", json!("../x"), 400)]
#[case::no_secret("/secret", json!(null), 400)]
#[case::empty_secret("/secret", json!(""), 400)]
#[case::scopes_of_another_type("/consentedScopes", json!("all"), 400)]
#[case::a_scope_with_a_nul("/consentedScopes", json!(["a\0b"]), 400)]
#[case::no_state("/state", json!(null), 400)]
#[case::no_request_id("/request/id", json!(null), 400)]
fn a_signed_webhook_for_another_service_is_refused(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] status: u16,
) {
    let service = MittwaldService::start(Engine::Sqlite);
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let response = service.deliver(&webhook.with(pointer, value));
    response.assert_refused(status, if status == 403 { "not_allowed" } else { "bad_request" });
    assert_nothing_stored(&service);
}

// T41
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn only_the_signed_bytes_are_accepted(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let body = webhook.bytes();
    let signature = service.mstudio.sign(&body);
    let text = String::from_utf8(body.clone()).unwrap();
    let pretty = serde_json::to_string_pretty(&webhook.0).unwrap();
    let members: Vec<String> = webhook
        .0
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(name, value)| format!("{name:?}:{value}"))
        .collect();
    let bodies = [
        text.replace("\"pro\"", "\"max\""),
        text[..text.len() - 1].to_owned(),
        format!("{text} "),
        pretty,
        format!("{{{}}}", members.join(",")),
        String::new(),
    ];
    for changed in bodies {
        assert_ne!(changed.as_bytes(), body);
        let response = post(&service.app, PATH, &signature, changed.as_bytes());
        response.assert_refused(401, "invalid_token");
    }
    // a signature of the right length, by another key
    let forged = service.mstudio.forge(&body).unwrap();
    assert_eq!(forged[0].1.len(), signature[0].1.len());
    post(&service.app, PATH, &forged, &body).assert_refused(401, "invalid_token");
    assert_nothing_stored(&service);
    assert_eq!(post(&service.app, PATH, &signature, &body).status, 204);
}

// T41
#[rstest]
#[case::other_algorithm(2, "EdDSA", 401, "invalid_token")]
#[case::algorithm_in_lower_case(2, "ed25519", 401, "invalid_token")]
#[case::no_algorithm(2, "", 401, "unauthenticated")]
#[case::path_as_serial(1, "../users/self", 400, "bad_request")]
#[case::encoded_path_as_serial(1, "..%2Fusers%2Fself", 400, "bad_request")]
#[case::empty_serial(1, "", 401, "unauthenticated")]
#[case::unknown_serial(1, "018f2c4e-0000-7000-8000-000000000001", 401, "invalid_token")]
#[case::empty_signature(0, "", 401, "unauthenticated")]
#[case::short_signature(0, "AAAA", 400, "bad_request")]
#[case::not_base64(0, "%%%%", 400, "bad_request")]
fn a_wrong_header_field_is_refused(
    #[case] field: usize,
    #[case] value: &str,
    #[case] status: u16,
    #[case] reason: &str,
) {
    let service = MittwaldService::start(Engine::Sqlite);
    let body = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL).bytes();
    let mut signature: SignatureFields = service.mstudio.sign(&body);
    value.clone_into(&mut signature[field].1);
    post(&service.app, PATH, &signature, &body).assert_refused(status, reason);
    assert_nothing_stored(&service);
    let asked = service.mstudio.requests();
    assert!(asked.iter().all(|request| request.starts_with("GET /v2/public-keys/018f2c4e-")), "{asked:?}");
}

// T41
#[test]
fn random_serials_cause_a_handful_of_requests() {
    let service = MittwaldService::start(Engine::Sqlite);
    let known = service.installed();
    let body = service.mstudio.webhook(Kind::Updated, known, URL).bytes();
    for _ in 0..50 {
        let mut signature = service.mstudio.sign(&body);
        signature[1].1 = Uuid::new_v4().to_string();
        let response = post(&service.app, PATH, &signature, &body);
        assert!(matches!(response.status, 401 | 503), "{response:?}");
    }
    let asked = service.mstudio.requests().len();
    assert!((5..20).contains(&asked), "{:?}", service.mstudio.requests());
    // a known key is used in the meantime
    service.tell(Kind::Updated, known);
    assert_eq!(service.mstudio.requests().len(), asked);
}

// T41
#[test]
fn random_serials_do_not_block_a_genuine_key() {
    let service = MittwaldService::start(Engine::Sqlite);
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let mut signature = service.mstudio.sign(&webhook.bytes());
    signature[1].1 = Uuid::new_v4().to_string();
    for _ in 0..20 {
        post(&service.app, PATH, &signature, &webhook.bytes()).assert_refused(401, "invalid_token");
    }
    for _ in 0..2 {
        signature[1].1 = Uuid::new_v4().to_string();
        post(&service.app, PATH, &signature, &webhook.bytes()).assert_refused(401, "invalid_token");
    }
    // one request for each serial
    assert_eq!(service.mstudio.requests().len(), 3);
    assert_eq!(service.deliver(&webhook).status, 204);
}

// T41
#[test]
fn a_client_with_random_serials_does_not_block_others() {
    let service = MittwaldService::start(Engine::Sqlite);
    let body = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL).bytes();
    let genuine = service.mstudio.sign(&body);
    let hostile: Vec<u16> = (0..50)
        .map(|_| {
            let mut signature = genuine.clone();
            signature[1].1 = Uuid::new_v4().to_string();
            // the client itself has sent the first address
            post_for(&service.app, "198.51.100.7, 203.0.113.66", &signature, &body).status
        })
        .collect();
    assert_eq!(hostile[..3], [401, 401, 503]);
    assert!(service.mstudio.requests().len() < 9, "{:?}", service.mstudio.requests());
    // a serial that is not known yet, from mittwald's address
    assert_eq!(post_for(&service.app, "198.51.100.7", &genuine, &body).status, 204);
    // all clients use a key that is known
    let again = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL).bytes();
    assert_eq!(post_for(&service.app, "203.0.113.66", &service.mstudio.sign(&again), &again).status, 204);
}

#[test]
fn a_reload_keeps_the_keys() {
    let service = MittwaldService::start(Engine::Sqlite);
    service.installed();
    service.app.reconfigure("[mittwald]\ntimeout_s = 9");
    service.installed();
    assert_eq!(service.mstudio.requests().len(), 1);
}

// T41
#[test]
fn a_large_body_is_refused() {
    let service = MittwaldService::start(Engine::Sqlite);
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let webhook = webhook.with("/large", "x".repeat(256 * 1024));
    service.deliver(&webhook).assert_refused(413, "body_too_large");
    assert_nothing_stored(&service);
}

#[rstest]
#[case::slow(Behaviour::Slow(std::time::Duration::from_secs(10)))]
#[case::failing(Behaviour::Status(500))]
#[case::limited(Behaviour::Status(429))]
#[case::lying(Behaviour::WrongTypes)]
#[case::large(Behaviour::Large)]
#[case::redirecting(Behaviour::Redirects)]
#[case::down(Behaviour::Down)]
fn without_a_key_a_webhook_is_refused_for_now(#[case] behaviour: Behaviour) {
    let impatient = |settings: Settings| settings.set("mittwald.timeout_s", 1);
    let service = MittwaldService::start_with(Engine::Sqlite, 1, impatient);
    service.mstudio.behave(behaviour);
    let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
    let response = service.deliver(&webhook);
    response.assert_refused(503, "keys_unavailable");
    assert!(response.has("retry-after"));
    assert_nothing_stored(&service);
}

#[test]
fn a_new_serial_is_fetched_once() {
    let service = MittwaldService::start(Engine::Sqlite);
    for _ in 0..3 {
        service.installed();
    }
    service.mstudio.renew_key().unwrap();
    for _ in 0..3 {
        service.installed();
    }
    let requests = service.mstudio.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.ends_with("?purpose=webhook&format=raw")), "{requests:?}");
}

#[test]
fn other_methods_and_paths_are_refused() {
    let service = MittwaldService::start(Engine::Sqlite);
    let response = service.app.get(PATH, &[]);
    response.assert_refused(405, "method_not_allowed");
    assert_eq!(response.header("allow"), "POST");
    assert_eq!(App::standard().request("POST", PATH, &[]).status, 404);
    // the path is a setting, which a reload changes
    service.app.reconfigure("[mittwald]\nwebhook_path = \"/other\"");
    assert_eq!(service.app.get(PATH, &[]).status, 404);
    assert_eq!(service.app.get("/other", &[]).status, 405);
}

#[test]
fn a_failing_store_means_503_and_the_repetition_is_stored() {
    let service = MittwaldService::start(Engine::Postgres);
    let id = service.installed();
    block_on(service.store.execute("ALTER TABLE mittwald_instances RENAME TO hidden"));
    service.mstudio.set_enabled(id, false);
    let webhook = service.mstudio.webhook(Kind::Updated, id, URL);
    service.deliver(&webhook).assert_refused(503, "store_unavailable");
    block_on(service.store.execute("ALTER TABLE hidden RENAME TO mittwald_instances"));
    // the transaction was rolled back, so even the same delivery is accepted
    wait_until("the store answers", || service.deliver(&webhook).status == 204);
    assert_eq!(service.instances()[0]["enabled"], false);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_slow_store_means_503_before_mittwald_stops_waiting(#[case] engine: Engine) {
    let commits = |settings: Settings| settings.set("audit.durability", "commit").set("store.timeout_s", 20);
    let service = MittwaldService::start_with(engine, 1, commits);
    let id = service.installed();
    let webhook = service.mstudio.webhook(Kind::Updated, id, URL);
    let (status, took) = block_on(service.store.locked("mittwald_instances, audit_events", || {
        let started = std::time::Instant::now();
        (service.deliver(&webhook).status, started.elapsed())
    }));
    assert_eq!(status, 503);
    // the time limit of the webhook, not the one of the store
    assert!(took < std::time::Duration::from_secs(15), "{took:?}");
    wait_until("it is accepted", || service.deliver(&webhook.clone().again()).status == 204);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_crash_before_the_response_converges(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.mstudio.install();
    let webhook = service.mstudio.webhook(Kind::Added, id, URL);
    let body = webhook.bytes();
    let mut connection = Connection::open(service.app.address()).unwrap();
    connection.write(&request(PATH, &service.mstudio.sign(&body), &body)).unwrap();
    // the change is stored before the response is read
    wait_until("it is stored", || block_on(stored(&service, id)));
    service.app.kill();
    let app = App::start(service.settings.clone());
    let response = service.deliver_to(&app, &webhook.again());
    assert_eq!(response.status, 204, "{response:?}");
    let listed = app.api("/v1/mittwald/instances", &service.token).json();
    assert_eq!(listed["instances"].as_array().unwrap().len(), 1);
    assert_eq!(listed["instances"][0]["has_secret"], true);
}

// T41
#[test]
fn no_secret_reaches_the_log_or_the_store_in_the_clear() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.installed();
    assert_eq!(service.access_token(&service.app, id).status, 200);
    let secret = service.mstudio.secret(id);
    assert!(secret.starts_with("mstudio-secret-"));
    let _ = service.app.log_lines();
    assert!(!service.app.output().contains("mstudio-"), "{}", service.app.output());
    let folder = std::fs::read_dir(service.store.file().parent().unwrap()).unwrap();
    for file in folder {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(15).any(|part| part == b"mstudio-secret-"));
    }
}

/// Whether an instance is in the store.
async fn stored(service: &MittwaldService, id: Uuid) -> bool {
    let store = service.store.open().await;
    let found = store.instance(id).await.unwrap().is_some();
    store.close().await;
    found
}

#[track_caller]
fn assert_nothing_stored(service: &MittwaldService) {
    assert!(service.instances().is_empty());
    let requests = block_on(service.store.execute("DELETE FROM mittwald_requests"));
    assert_eq!(requests, 0);
}
