//! Access tokens of extension instances, for programs; and the keys that encrypt the secrets.

use std::time::Duration;

use marketplace_sso::playground::mstudio::{Behaviour, Kind};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::harness::api::create_token;
use crate::harness::command::run;
use crate::harness::mittwald::{KEY, MittwaldService};
use crate::harness::store::Engine;
use crate::harness::{App, Settings, wait_until};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_token_is_exchanged_once_and_kept(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.installed();
    let responses: Vec<_> = std::thread::scope(|scope| {
        let ask = || service.access_token(&service.app, id);
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let first = responses[0].json();
    assert!(first["access_token"].as_str().unwrap().starts_with("mstudio-token-"), "{first}");
    assert!(first["expires_at"].is_u64());
    assert!(responses.iter().all(|response| response.status == 200 && response.json() == first));
    assert_eq!(responses[0].header("cache-control"), "no-store");
    assert_eq!(service.mstudio.exchanges(), 1);
    let event = service.app.audit_event_of(&responses[0]);
    assert_eq!((&event["outcome"], &event["api_token"]), (&json!("access_token_issued"), &json!("shop")));
}

#[test]
fn a_token_that_is_about_to_expire_is_not_issued() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.installed();
    service.mstudio.set_token_life_s(20);
    let first = service.access_token(&service.app, id).json();
    assert_ne!(service.access_token(&service.app, id).json(), first);
    service.mstudio.set_token_life_s(-5);
    service.access_token(&service.app, id).assert_refused(503, "upstream_unavailable");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn every_change_ends_the_token_on_every_replica(#[case] engine: Engine) {
    let service = MittwaldService::start_with(engine, 2, |settings| settings);
    let other = &service.others[0];
    let id = service.installed();
    let token = |app: &App| {
        let response = service.access_token(app, id);
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["access_token"].as_str().unwrap().to_owned()
    };
    let (first, of_other) = (token(&service.app), token(other));

    service.mstudio.rotate(id);
    service.tell(Kind::SecretRotated, id);
    // the stand-in refuses the old secret, so these tokens were issued for the new one
    assert!(token(&service.app) != first && token(other) != of_other);

    service.mstudio.set_enabled(id, false);
    service.tell(Kind::Updated, id);
    for app in [&service.app, other] {
        service.access_token(app, id).assert_refused(403, "not_allowed");
    }
    service.mstudio.set_enabled(id, true);
    service.tell(Kind::Updated, id);
    let last = token(other);

    service.tell(Kind::Removed, id);
    for app in [&service.app, other] {
        service.access_token(app, id).assert_refused(404, "not_found");
    }
    service.tell(Kind::Added, id);
    assert_ne!(token(other), last);
}

#[test]
fn an_unknown_instance_or_one_without_a_secret_has_no_token() {
    let service = MittwaldService::start(Engine::Sqlite);
    service.access_token(&service.app, Uuid::new_v4()).assert_refused(404, "not_found");
    let id = service.mstudio.install();
    service.tell(Kind::Updated, id);
    let response = service.access_token(&service.app, id);
    response.assert_refused(403, "not_allowed");
    assert!(response.json()["detail"].as_str().unwrap().contains("secret"));
    assert_eq!(service.mstudio.exchanges(), 0);
}

#[rstest]
#[case::slow(Behaviour::Slow(Duration::from_secs(5)), 1)]
#[case::failing(Behaviour::Status(500), 1)]
#[case::gateway(Behaviour::Status(502), 2)]
#[case::refusing(Behaviour::Status(403), 1)]
#[case::limited(Behaviour::Status(429), 1)]
#[case::lying(Behaviour::WrongTypes, 1)]
#[case::large(Behaviour::Large, 1)]
#[case::redirecting(Behaviour::Redirects, 1)]
#[case::down(Behaviour::Down, 2)]
fn a_failing_mstudio_is_a_503_in_bounded_time(#[case] behaviour: Behaviour, #[case] attempts: usize) {
    let impatient = |settings: Settings| settings.set("mittwald.timeout_s", 2);
    let service = MittwaldService::start_with(Engine::Sqlite, 1, impatient);
    let id = service.installed();
    service.mstudio.behave(behaviour);
    let response = service.access_token(&service.app, id);
    response.assert_refused(503, "upstream_unavailable");
    let retry_after = if behaviour == Behaviour::Status(429) { "7" } else { "5" };
    assert_eq!(response.header("retry-after"), retry_after);
    assert_eq!(service.mstudio.exchanges(), attempts);
    // the failure is kept for a moment, in which further requests get it without waiting
    service.access_token(&service.app, id).assert_refused(503, "upstream_unavailable");
}

#[test]
fn instances_of_another_extension_have_no_token() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.installed();
    assert_eq!(service.access_token(&service.app, id).status, 200);
    let other = "[mittwald]\nextension_ids = [\"018f2c4e-0000-7000-8000-000000000001\"]";
    service.app.reconfigure(other);
    service.access_token(&service.app, id).assert_refused(404, "not_found");
    assert!(service.instances().is_empty());
}

#[test]
fn a_rate_limit_of_mittwald_delays_the_next_exchange() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.installed();
    service.mstudio.behave(Behaviour::Status(429));
    let started = std::time::Instant::now();
    service.access_token(&service.app, id).assert_refused(503, "upstream_unavailable");
    service.mstudio.behave(Behaviour::Works);
    wait_until("it is tried again", || service.access_token(&service.app, id).status == 200);
    // as long as mittwald asks for (7 s); other failures are kept for 2 s
    assert!(started.elapsed() > Duration::from_secs(6), "{:?}", started.elapsed());
}

#[test]
fn the_scope_is_needed_and_get_is_the_only_method() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.installed();
    let other = create_token(&service.settings.file(), "siem", &["audit:read"]);
    for path in ["/v1/mittwald/instances".to_owned(), format!("/v1/mittwald/instances/{id}/access-token")] {
        service.app.api(&path, &other).assert_refused(403, "missing_scope");
        service.app.get(&path, &[]).assert_refused(401, "unauthenticated");
        let response = service.app.request("POST", &path, &[]);
        response.assert_refused(405, "method_not_allowed");
        assert_eq!(response.header("allow"), "GET");
        service.app.api(&format!("{path}?x=1"), &service.token).assert_refused(400, "bad_request");
    }
    for path in ["/v1/mittwald/instancesX", "/v1/verifyX"] {
        let response = service.app.api(path, &service.token);
        assert_eq!((response.status, response.header("cache-control")), (404, "no-store"), "{path}");
        assert!(response.has("x-request-id"), "{path}");
    }
    for path in ["/v1/mittwald/instances/", "/v1/mittwald/instances/x/access-token", "/v1/mittwald"] {
        assert_eq!(service.app.api(path, &service.token).status, 404, "{path}");
    }
    assert_eq!(service.mstudio.exchanges(), 0);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn instances_are_listed_page_by_page(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let mut installed: Vec<String> = (0..5).map(|_| service.installed().to_string()).collect();
    installed.sort();
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let path = format!("/v1/mittwald/instances?limit=2{cursor}");
        let page = service.app.api(&path, &service.token).json();
        let ids = page["instances"].as_array().unwrap().iter();
        listed.extend(ids.map(|instance| instance["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            assert_eq!((pages, page.get("next_cursor")), (3, None));
            break;
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(listed, installed);
    for query in ["limit=0", "limit=1001", "limit=2&limit=2", "cursor=AAAA", "cursor=", "x=1"] {
        let response = service.app.api(&format!("/v1/mittwald/instances?{query}"), &service.token);
        response.assert_refused(400, "bad_request");
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn rekey_encrypts_every_secret_while_the_service_runs(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let id = service.installed();
    service.installed();
    let newer = "another-key-of-the-store-of-32-bytes-or-more";
    let with_keys = |keys: &[&str]| service.settings.clone().set("store.encryption_key", keys);
    let rekey = |settings: &Settings| run(&["store", "rekey", "--config", &settings.file().text()]);

    // the service reads the new key first
    service.app.reconfigure(&format!("[store]\nencryption_key = [{newer:?}, {KEY:?}]"));
    let result = rekey(&with_keys(&[newer, KEY]));
    assert_eq!(result.status, 0, "{result:?}");
    assert!(result.output.starts_with("encrypted 2 secrets with key "), "{result:?}");
    assert!(result.output.trim_end().ends_with("; 0 remaining"), "{result:?}");
    assert_eq!(service.access_token(&service.app, id).status, 200);
    let again = rekey(&with_keys(&[newer, KEY]));
    assert!(again.output.contains("encrypted 0 secrets") && again.output.contains("; 2 were"), "{again:?}");

    // the old key is not needed any more
    let app = App::start(with_keys(&[newer]));
    assert_eq!(service.access_token(&app, id).status, 200);
    let result = rekey(&with_keys(&[KEY]));
    assert_eq!(result.status, 1, "{result:?}");
    assert!(result.errors.contains("2 secrets cannot be decrypted"), "{result:?}");
    assert!(result.output.trim_end().ends_with("; 2 remaining"), "{result:?}");
    let app = App::start(with_keys(&[KEY]));
    service.access_token(&app, id).assert_refused(500, "internal");
}

#[test]
fn settings_that_are_missing_are_reported_together() {
    let extension = ["018f2c4e-0000-7000-8000-000000000001"];
    let settings = Settings::standard().without("server.public_url").set("mittwald.extension_ids", extension);
    for message in ["server.public_url is not set", "there is no store", "store.encryption_key is not set"] {
        settings.assert_wrong("mittwald.extension_ids", message);
    }
    let complete = Settings::standard()
        .set("mittwald.extension_ids", extension)
        .set("store.url", "sqlite:x.db")
        .set("store.encryption_key", KEY);
    assert_eq!(complete.check().status, 0, "{:?}", complete.check());
    assert!(!complete.check().output.contains(KEY));
    let wrong = |key: &str, value: &str, message: &str| {
        complete.clone().set(key, value).assert_wrong(key, message);
    };
    wrong("mittwald.api_url", "http://api.mittwald.de", "it is not https");
    wrong("mittwald.webhook_path", "/pandium-sso", "conflicts with the entrance");
    wrong("mittwald.webhook_path", "/v1/x", "is reserved");
    wrong("mittwald.webhook_path", "webhooks", "is not a plain path");
    complete
        .clone()
        .set("mittwald.extension_ids", ["x"])
        .assert_wrong("mittwald.extension_ids", "not a UUID");
    complete.clone().set("store.encryption_key", "short").assert_wrong("store.encryption_key", "32 bytes");
}
