//! Webhooks of mittwald and the store: a slow store, and the deletion of old ids.

use std::time::{Duration, Instant};

use marketplace_sso::clock::Timestamp;
use marketplace_sso::playground::mstudio::Kind;
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::harness::mittwald::{MittwaldService, PATH, URL, post};
use crate::harness::store::{Engine, block_on};
use crate::harness::{Response, Settings, wait_until};

// T41
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_store_that_is_slow_delays_the_response(#[case] engine: Engine) {
    const DELAY: Duration = Duration::from_millis(300);
    let commits = |settings: Settings| settings.set("audit.durability", "commit");
    let service = MittwaldService::start_with(engine, 1, commits);
    let id = service.installed();
    service.mstudio.set_enabled(id, false);
    let webhook = service.mstudio.webhook(Kind::Updated, id, URL);
    let (response, took) = std::thread::scope(|scope| {
        let delivery = block_on(service.store.locked("mittwald_instances, audit_events", || {
            let started = Instant::now();
            let delivery = scope.spawn({
                let service = &service;
                move || (service.deliver(&webhook), started.elapsed())
            });
            wait_until("the response is late", || started.elapsed() >= DELAY);
            delivery
        }));
        delivery.join().unwrap()
    });
    assert_eq!(response.status, 204, "{response:?}");
    assert!(took >= DELAY, "{took:?}");
    assert_eq!(service.instances()[0]["enabled"], false);
}

#[test]
fn a_refused_webhook_is_recorded_with_its_instance() {
    let service = MittwaldService::start(Engine::Sqlite);
    let id = service.mstudio.install();
    let webhook = service.mstudio.webhook(Kind::Added, id, URL);
    let named = |response: &Response| service.app.audit_event_of(response)["instance_id"].clone();
    let stale = service.deliver(&webhook.clone().with("/request/createdAt", "2020-01-01T00:00:00Z"));
    assert_eq!((stale.status, named(&stale)), (403, json!(id)));
    assert_eq!(service.deliver(&webhook).status, 204);
    assert_eq!(named(&service.deliver(&webhook)), json!(id), "a replayed one");
    // a webhook without a valid signature is recorded without an instance
    let body = webhook.again().bytes();
    let forged = post(&service.app, PATH, &service.mstudio.forge(&body).unwrap(), &body);
    assert_eq!((forged.status, named(&forged)), (401, json!(null)));
    let no_token = service.access_token(&service.app, Uuid::nil());
    assert_eq!((no_token.status, named(&no_token)), (404, json!(Uuid::nil())));
}

// T41
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn the_id_of_a_webhook_is_kept_until_it_is_too_old(#[case] engine: Engine) {
    let service = MittwaldService::start(engine);
    let (kept, removed) = (service.installed(), service.installed());
    service.mstudio.remove(removed);
    let webhook = service.mstudio.webhook(Kind::Removed, removed, URL);
    assert_eq!(service.deliver(&webhook).status, 204);
    let purge = |age: Duration| {
        let before = Timestamp::now().earlier_by(age).unix_microseconds();
        block_on(async {
            let store = service.store.open().await;
            store.purge_instances(before).await.unwrap();
            store.close().await;
        });
    };
    // webhooks are accepted for 24 hours by default, and for 46 at most
    purge(Duration::from_secs(47 * 60 * 60));
    service.deliver(&webhook).assert_refused(403, "not_allowed");
    purge(Duration::ZERO);
    assert_eq!(block_on(service.store.execute("DELETE FROM mittwald_requests")), 0);
    let ids: Vec<_> = service.instances().iter().map(|instance| instance["id"].clone()).collect();
    assert_eq!(ids, [json!(kept)]);
    let rows = "DELETE FROM mittwald_instances";
    assert_eq!(block_on(service.store.execute(rows)), 1, "the removed one is forgotten");
}
