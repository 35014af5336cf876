//! The pages for refusals: languages, branding and custom templates.

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::command::replace_file;
use crate::harness::key_server::fetching;
use crate::harness::{ALICE, App, Field, Settings};

const HTML: Field<'_> = ("Accept", "text/html");

#[test]
fn a_page_uses_the_requested_language() {
    let app = App::standard();
    for (wanted, lang, title, button) in [
        ("de-AT,de;q=0.9", "de", "Sie sind nicht angemeldet", "Anmelden"),
        ("fr", "fr", "Aucune session active", "Se connecter"),
        ("es-MX", "es", "No ha iniciado sesión", "Iniciar sesión"),
        ("en-GB", "en", "You’re not signed in", "Sign in"),
        ("ja", "en", "You’re not signed in", "Sign in"),
        ("ja, de;q=0.3, fr;q=0.7", "fr", "Aucune session active", "Se connecter"),
    ] {
        let response = app.get("/pandium-sso", &[HTML, ("Accept-Language", wanted)]);
        assert_eq!(response.status, 401, "{response:?}");
        let page = response.text();
        for part in [&format!("<html lang=\"{lang}\">"), title, button, response.header("x-request-id")] {
            assert!(page.contains(part), "{wanted}: {part} is missing: {page}");
        }
        assert!(response.header("vary").contains("Accept-Language"), "{response:?}");
        // problem documents are not translated
        let problem = app.get("/pandium-sso", &[("Accept-Language", wanted)]).json();
        assert_eq!(problem["title"], "The user is not authenticated");
    }
}

#[test]
fn a_retry_is_offered_for_temporary_failures() {
    let app = App::standard();
    let page = |target: &str| app.get(target, &[HTML]).text();
    assert!(!page("/pandium-sso?tenant=x").contains("Try again"));
    let key_server_down = App::start(fetching("http://127.0.0.1:1"));
    let token = "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    let response = key_server_down.get("/pandium-sso", &[HTML, ("Authorization", token)]);
    assert_eq!(response.status, 503);
    assert!(response.text().contains("Try again"), "{}", response.text());
}

#[rstest]
#[case::another_account("/pandium-sso", 403, "Use another account")]
#[case::an_unknown_path("/pandium-sso/nothing", 404, "Go to the app")]
#[case::outside_of_entrances("/nothing", 404, "Go to the app")]
#[case::a_bad_link("/pandium-sso?integration_id=x", 400, "Go to the app")]
fn a_button_leads_to_the_login_page(#[case] target: &str, #[case] status: u16, #[case] label: &str) {
    let denied = Settings::standard().set("access.denied_groups", ["guests"]);
    let button = |settings: Settings| {
        let response =
            App::start(settings).get(target, &[ALICE, &[("X-Auth-Request-Groups", "guests"), HTML]].concat());
        assert_eq!(response.status, status, "{response:?}");
        let page = response.page();
        let start = page.find("<a class=\"button\"")?;
        page[start..].split_once("</a>").map(|(link, _)| link.to_owned())
    };
    let link = button(denied.clone()).unwrap();
    assert!(link.contains("href=\"https://app.example.com/login\" target=\"_top\""), "{link}");
    assert!(link.ends_with(&format!(">{label}")), "{link}");
    assert_eq!(button(denied.without("embed.login_url")), None);
}

#[test]
fn a_token_that_is_too_large_is_not_tried_again() {
    let app = App::start(Settings::standard().set("pandium.max_location_bytes", 256));
    let response = app.get("/pandium-sso", &[ALICE, &[HTML]].concat());
    assert_eq!(response.status, 500, "{response:?}");
    let page = response.page();
    assert!(page.contains("support team the request ID") && !page.contains("ry again"), "{page}");
}

#[test]
fn branding_appears_on_the_pages() {
    let folder = TempDir::new().unwrap();
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let settings = Settings::standard().set("branding.name", "Acme & Co").set("branding.color", "#FFD400");
    let app = App::start_in(folder, settings.set("branding.logo_file", logo));
    for target in ["/pandium-sso", "/embed"] {
        let response = app.get(target, &[HTML]);
        let page = response.text();
        assert!(page.contains("Acme &amp; Co"), "{page}");
        assert!(page.contains("--accent: #ffd400; --on-accent: #000000;"), "{page}");
        assert!(response.header("content-security-policy").contains("img-src data:"));
    }
    let page = app.get("/pandium-sso", &[HTML]).text();
    assert!(page.contains("<img class=\"logo\"") && page.contains("svg+xml;base64,"), "{page}");
}

#[test]
fn a_custom_template_replaces_the_default() {
    let folder = TempDir::new().unwrap();
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    let own = "{% extends \"base.html\" %}{% block body %}<h1>Oh: {{ title }}</h1><i>{{ reason }}</i>{% endblock %}";
    std::fs::write(templates.join("refusal.html"), own).unwrap();
    let app = App::start_in(folder, Settings::standard().set("branding.templates_dir", &templates));
    let page = app.get("/pandium-sso", &[HTML]).text();
    assert!(page.contains("<h1>Oh: You’re not signed in</h1><i>unauthenticated</i>"), "{page}");
    assert!(page.contains("<meta name=\"viewport\""), "ours is extended: {page}");
    assert!(page.contains("data-type=\"unauthenticated\""), "the embedding page is notified: {page}");

    // a changed template applies without a restart; an invalid one does not
    let refusal = templates.join("refusal.html");
    replace_file(&refusal, "<h1>{{ title }}!</h1>");
    app.wait_for_metric("marketplace_sso_config_reloads_total", &[("result", "applied")], 1.0);
    assert_eq!(app.get("/pandium-sso", &[HTML]).text(), "<h1>You’re not signed in!</h1>");
    replace_file(&refusal, "{{ titel }}");
    app.reload_refused();
    assert_eq!(app.get("/pandium-sso", &[HTML]).text(), "<h1>You’re not signed in!</h1>");
}

#[rstest]
#[case::an_unknown_name("error.html", "x", "base.html, refusal.html, embed.html")]
#[case::no_template("refusal.html", "{% if %}", "refusal.html, line 1")]
#[case::an_unknown_value("refusal.html", "\n{{ titel }}", "refusal.html, line 2")]
#[case::a_block_that_is_not_there("embed.html", "{% extends \"bas.html\" %}", "bas.html")]
fn a_template_error_names_its_line(#[case] name: &str, #[case] text: &str, #[case] message: &str) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let settings = Settings::standard().set("branding.templates_dir", folder.path());
    settings.assert_wrong("branding.templates_dir", message);
}

#[rstest]
#[case("color", "red; } body { display: none")]
#[case("logo_file", "/nowhere/logo.svg")]
#[case("logo_file", "/dev/null")]
#[case("templates_dir", "/nowhere")]
fn an_invalid_branding_setting_is_reported(#[case] key: &str, #[case] value: &str) {
    let key = format!("branding.{key}");
    Settings::standard().set(&key, value).assert_wrong(&key, "");
}
