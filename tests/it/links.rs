//! `POST /v1/links` and single-use addresses.

use std::time::{SystemTime, UNIX_EPOCH};

use marketplace_sso::config::{Config, Problem};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::api::create_token;
use crate::harness::links::{JSON, LinkService, post};
use crate::harness::store::{Engine, block_on};
use crate::harness::{ALICE, App, Response, Settings, Token};

const HTML: (&str, &str) = ("Accept", "text/html");

/// A user with a value in each field.
fn full_user() -> Value {
    json!({
        "id": "u-1", "email": "alice@example.com", "name": "Alice Ä", "username": "alice", "groups": ["staff"],
        "organization": {"id": "o-1", "name": "Acme"}, "attributes": {"plan": "pro"}
    })
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_single_use_address_opens_once(#[case] engine: Engine) {
    let service = LinkService::start_with(engine, 1, |settings| settings);
    let link = json!({"integration_id": 1121, "display": "settings"});
    let before = now();
    let created = service.post(&json!({"user": full_user(), "link": link}));
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.header("content-type"), "application/json");
    assert_eq!(created.header("cache-control"), "no-store");
    let (body, location) = (created.json(), created.header("location"));
    assert_eq!((body["url"].as_str(), body.as_object().unwrap().len()), (Some(location), 2));
    let expires_at = body["expires_at"].as_u64().unwrap();
    assert!((before + 60..=now() + 60).contains(&expires_at), "{expires_at}");

    let path = location.strip_prefix("https://app.example.com").unwrap();
    let opened = service.app.get(path, &[HTML]);
    assert_eq!(opened.status, 307, "{opened:?}");
    assert_eq!(opened.header("referrer-policy"), "no-referrer");
    let token = Token::of(&opened);
    assert_eq!(token.link(), "display=settings&integration_id=1121");
    assert_eq!(
        (&token.claims["sub"], &token.claims["external_id"]),
        (&json!("alice@example.com"), &json!("u-1"))
    );
    assert_eq!(token.claims["ti"]["ufn"], "Alice Ä");
    assert_eq!(
        (&token.claims["ti"]["aid"], &token.claims["ti"]["xti"]),
        (&json!("o-1"), &json!({"user_tier": "pro"}))
    );
    for _ in 0..2 {
        service.app.get(path, &[]).assert_refused(410, "link_expired");
    }

    let event = |response: &Response| service.app.audit_event_of(response);
    let (creation, use_of_it) = (event(&created), event(&opened));
    assert_eq!((&creation["outcome"], &use_of_it["outcome"]), (&json!("link_created"), &json!("handed_off")));
    assert_eq!(use_of_it["jti"], token.claims["jti"]);
    for event in [&creation, &use_of_it] {
        assert_eq!((&event["api_token"], &event["entrance"]), (&json!("shop"), &json!("pandium-sso")));
        assert_eq!(event["subject"], creation["subject"], "{event}");
    }
    let stored = "UPDATE audit_events SET took_us = 0 WHERE identity_kind = 'api'
        AND data = '{\"api_token\":\"shop\"}' AND link = '?display=settings&integration_id=1121'";
    assert_eq!(block_on(service.store.execute(stored)), 2);
}

#[test]
fn a_server_gets_the_signed_url_directly() {
    let service =
        LinkService::start_with(Engine::Sqlite, 1, |settings| settings.set("pandium.token_lifetime_s", 60));
    let response = service.post(&json!({"user": full_user(), "form": "direct", "link": {"install": "1121"}}));
    assert_eq!(response.status, 201, "{response:?}");
    assert!(!response.has("location"), "proxies log it");
    let body = response.json();
    let token = Token::in_url(body["url"].as_str().unwrap(), crate::harness::SECRET);
    assert_eq!(token.url.path(), "/acme/tenants/create/1121");
    assert_eq!((&body["jti"], &body["issued_at"]), (&token.claims["jti"], &token.claims["iat"]));
    assert_eq!((&body["expires_at"], body.as_object().unwrap().len()), (&token.claims["exp"], 4));
    let event = service.app.audit_event_of(&response);
    assert_eq!((&event["outcome"], &event["jti"]), (&json!("handed_off"), &token.claims["jti"]));
}

#[test]
fn the_rules_of_the_named_entrance_apply() {
    let service = LinkService::start_with(Engine::Sqlite, 1, |settings| {
        settings
            .entrance("partners", &Settings::standard())
            .set("entrances.partners.claims.sub", "'partner-' ~ id")
            .set("entrances.partners.access.groups", ["staff"])
            .set("entrances.partners.pandium.account", "partners")
    });
    let ask = |user: Value| service.post(&json!({"user": user, "entrance": "partners", "form": "direct"}));
    let body = ask(full_user()).json();
    let token = Token::in_url(body["url"].as_str().unwrap(), crate::harness::SECRET);
    assert_eq!((token.url.path(), &token.claims["sub"]), ("/partners", &json!("partner-u-1")));
    let refused = ask(json!({"id": "u-1", "groups": ["guests"]}));
    refused.assert_refused(403, "not_allowed");
    assert_eq!(refused.json()["detail"], "the user is in none of access.groups");
    let event = service.app.audit_event_of(&refused);
    assert_eq!((&event["entrance"], &event["api_token"]), (&json!("partners"), &json!("shop")));
}

#[test]
fn a_refusal_names_what_is_wrong_with_the_request() {
    let service = LinkService::start();
    let alice = json!({"email": "alice@example.com"});
    for (body, status, reason, detail) in [
        (json!({}), 400, "bad_request", "the body has a member that is unknown, missing"),
        (json!({"user": alice, "entrance": "x"}), 400, "bad_request", "no entrance of this name"),
        (json!({"user": {"email": "alice"}}), 400, "bad_identity", "user.email cannot be used"),
        (json!({"user": {"id": "u-1"}}), 400, "bad_identity", "claims.sub is empty"),
        (json!({"user": alice, "link": {"tenant": "x"}}), 400, "bad_link", "tenant"),
        (json!({"user": alice, "link": {"integration_id": "x"}}), 400, "bad_link", "integration_id"),
        (json!({"user": alice, "link": {"install": "../x"}}), 400, "bad_link", "integration id"),
        (json!({"user": alice, "link": {"state": "x"}}), 400, "bad_link", "pandium.link_parameters"),
        (json!({"user": {"name": "x".repeat(17_000)}}), 400, "bad_request", "more than 16 KiB"),
    ] {
        let response = service.post(&body);
        response.assert_refused(status, reason);
        let told = response.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{body}: {told}");
    }
    let authorization = format!("Bearer {}", service.token);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let response = post(&service.app, "user=alice", &[("Authorization", &authorization), form]);
    response.assert_refused(400, "bad_request");
}

#[test]
fn only_a_token_with_the_scope_creates_links() {
    let service = LinkService::start();
    let body = json!({"user": {"email": "alice@example.com"}}).to_string();
    let with =
        |token: &str| post(&service.app, &body, &[("Authorization", &format!("Bearer {token}")), JSON]);
    // a user of the login proxy is not authorized
    post(&service.app, &body, &[ALICE, &[JSON]].concat()).assert_refused(401, "unauthenticated");
    with("x").assert_refused(401, "invalid_token");
    let settings = crate::harness::api::settings(&service.store);
    let other = create_token(&settings.file(), "siem", &["audit:read"]);
    let mut refused = with(&other);
    crate::harness::wait_until("the token is known", || {
        refused = with(&other);
        refused.status == 403
    });
    refused.assert_refused(403, "missing_scope");
    let get = service.app.api("/v1/links", &service.token);
    get.assert_refused(405, "method_not_allowed");
    assert_eq!(get.header("allow"), "POST");
    assert_eq!(with(&service.token).status, 201);
}

#[test]
fn single_use_addresses_need_the_public_url() {
    let service = LinkService::start_with(Engine::Sqlite, 1, |settings| {
        settings.without("server.public_url").set("server.hosts", ["app.example.com"])
    });
    let ask = |form: &str| service.post(&json!({"user": {"email": "alice@example.com"}, "form": form}));
    ask("once").assert_refused(400, "bad_request");
    assert!(ask("once").text().contains("server.public_url is not set"));
    assert_eq!(ask("direct").status, 201);
    let without = Settings::standard().without("server.public_url").set("store.url", "sqlite:x.db");
    let warnings = Config::from_toml(&without.text()).unwrap().warnings();
    let about_links =
        |warning: &Problem| warning.what.contains("POST /v1/links creates no single-use addresses");
    assert!(warnings.iter().any(about_links), "{warnings:?}");
}

#[test]
fn without_a_store_there_are_no_links() {
    let app = App::standard();
    app.get("/l/AAAA", &[]).assert_refused(404, "not_found");
    let body = json!({"user": {"email": "alice@example.com"}}).to_string();
    post(&app, &body, &[("Authorization", "Bearer x"), JSON]).assert_refused(401, "invalid_token");
}

#[test]
fn the_page_of_an_expired_link_leads_back_to_the_app() {
    let service = LinkService::start();
    let path = service.path();
    assert_eq!(service.app.get(&path, &[]).status, 307);
    let unknown = format!("/l/{}", "A".repeat(43));
    for path in [path.as_str(), &unknown, "/l/cut"] {
        for (language, title, button) in [
            ("en", "This link is no longer valid", "Go to the app"),
            ("de", "Dieser Link ist nicht mehr gültig", "Zur Anwendung"),
            ("fr", "Ce lien n’est plus valide", "Aller à l’application"),
            ("es", "Este enlace ya no es válido", "Ir a la aplicación"),
        ] {
            let response = service.app.get(path, &[HTML, ("Accept-Language", language)]);
            assert_eq!(response.status, 410, "{response:?}");
            let page = response.page();
            for part in [
                title,
                button,
                "href=\"https://app.example.com/login\" target=\"_top\"",
                "data-type=\"link_expired\"",
                "data-targets='[\"https://app.example.com\"]'",
            ] {
                assert!(page.contains(part), "{part} is missing: {page}");
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
