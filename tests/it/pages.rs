//! The pages for refusals: languages, branding and custom templates.

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::command::{File, run};
use crate::harness::{App, Field, STANDARD};

const HTML: Field<'_> = ("Accept", "text/html");

#[rstest]
#[case("de-AT,de;q=0.9", "de", "Sie sind nicht angemeldet", "Anmelden")]
#[case("fr", "fr", "Vous n’êtes pas connecté", "Se connecter")]
#[case("es-MX", "es", "No ha iniciado sesión", "Iniciar sesión")]
#[case("en-GB", "en", "Nobody is signed in", "Sign in")]
#[case("ja", "en", "Nobody is signed in", "Sign in")]
#[case("ja, de;q=0.3, fr;q=0.7", "fr", "Vous n’êtes pas connecté", "Se connecter")]
fn a_page_uses_the_requested_language(
    #[case] wanted: &str,
    #[case] lang: &str,
    #[case] title: &str,
    #[case] button: &str,
) {
    let app = App::start("");
    let response = app.get("/pandium-sso", &[HTML, ("Accept-Language", wanted)]);
    assert_eq!(response.status, 401);
    let page = response.text();
    for part in [&format!("<html lang=\"{lang}\">"), title, button, response.header("x-request-id")] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    assert!(response.header("vary").contains("Accept-Language"));
    // problem documents are not translated
    let problem = app.get("/pandium-sso", &[("Accept-Language", wanted)]).json();
    assert_eq!(problem["title"], "Nobody is signed in");
}

#[test]
fn a_retry_is_offered_for_temporary_failures() {
    let app = App::start("");
    let page = |target: &str| app.get(target, &[HTML]).text();
    assert!(!page("/pandium-sso?tenant=x").contains("Try again"));
    let key_server_down = App::start_with_identity(
        "kind = \"bearer\"\nissuer = \"i\"\naudience = \"a\"\njwks_url = \"http://127.0.0.1:1/\"",
        "",
    );
    let token = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
    let response =
        key_server_down.get("/pandium-sso", &[HTML, ("Authorization", &format!("Bearer {token}"))]);
    assert_eq!(response.status, 503);
    assert!(response.text().contains("Try again"), "{}", response.text());
}

#[test]
fn branding_appears_on_the_pages() {
    let folder = TempDir::new().unwrap();
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let settings = format!("[branding]\nname = \"Acme & Co\"\ncolor = \"#FFD400\"\nlogo_file = {logo:?}");
    let app = App::start_in(folder, &settings);
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
    let app = App::start_in(folder, &format!("[branding]\ntemplates_dir = {templates:?}"));
    let page = app.get("/pandium-sso", &[HTML]).text();
    assert!(page.contains("<h1>Oh: Nobody is signed in</h1><i>unauthenticated</i>"), "{page}");
    assert!(page.contains("<meta name=\"viewport\""), "ours is extended: {page}");
    assert!(page.contains("data-type=\"unauthenticated\""), "the embedding page is notified: {page}");

    // a changed template applies without a restart; an invalid one does not
    std::fs::write(templates.join("refusal.html"), "<h1>{{ title }}!</h1>").unwrap();
    app.wait_for_metric("marketplace_sso_config_reloads_total", &[("result", "applied")], 1.0);
    assert_eq!(app.get("/pandium-sso", &[HTML]).text(), "<h1>Nobody is signed in!</h1>");
    std::fs::write(templates.join("refusal.html"), "{{ titel }}").unwrap();
    app.wait_for_metric("marketplace_sso_config_reloads_total", &[("result", "refused")], 1.0);
    assert_eq!(app.get("/pandium-sso", &[HTML]).text(), "<h1>Nobody is signed in!</h1>");
}

#[rstest]
#[case::an_unknown_name("error.html", "x", "templates_dir", "base.html, refusal.html, embed.html")]
#[case::no_template("refusal.html", "{% if %}", "templates_dir", "refusal.html, line 1")]
#[case::an_unknown_value("refusal.html", "\n{{ titel }}", "templates_dir", "refusal.html, line 2")]
#[case::a_block_that_is_not_there("embed.html", "{% extends \"bas.html\" %}", "templates_dir", "bas.html")]
fn a_template_error_names_its_line(
    #[case] name: &str,
    #[case] text: &str,
    #[case] key: &str,
    #[case] message: &str,
) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let config = File::new(&format!("{STANDARD}\n[branding]\ntemplates_dir = {:?}", folder.path()));
    let result = run(&["check", "--config", &config.text()]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(
        result.errors.contains(&format!("branding.{key}: ")) && result.errors.contains(message),
        "{}",
        result.errors
    );
}

#[rstest]
#[case("color = \"red; } body { display: none\"", "color")]
#[case("logo_file = \"/nowhere/logo.svg\"", "logo_file")]
#[case("logo_file = \"/dev/null\"", "logo_file")]
#[case("templates_dir = \"/nowhere\"", "templates_dir")]
fn an_invalid_branding_setting_is_reported(#[case] setting: &str, #[case] key: &str) {
    let config = File::new(&format!("{STANDARD}\n[branding]\n{setting}"));
    let result = run(&["check", "--config", &config.text()]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains(&format!("branding.{key}: ")), "{}", result.errors);
}
