//! The files of the component, `/embed.json`, and the page `/embed`. How a browser
//! runs them is tested in `tests/browser`.

use std::io::Write;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA384, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::tree::{read, root};
use crate::harness::{ALICE, App, Field, Settings};

const PARENT: Field<'_> = ("Origin", "https://app.example.com");

/// A second entrance, with another credential header and marketplace.
fn with_shop() -> Settings {
    let shop = Settings::appdirect().identity("marketplace_url", "https://shop.example.com/");
    Settings::standard()
        .entrance("shop", &shop.jwks_url("https://shop.example.com/keys"))
        .set("entrances.shop.pandium.base_url", "https://imp.other.example:8443/deep")
}

#[test]
fn component_files_are_public_and_cacheable() {
    let app = App::standard();
    for (path, kind, holds) in [
        ("/embed.js", "text/javascript; charset=utf-8", "customElements.define"),
        ("/embed.d.ts", "text/plain; charset=utf-8", "HTMLElementTagNameMap"),
    ] {
        let response = app.get(path, &[("Origin", "https://anybody.example")]);
        assert_eq!((response.status, response.header("content-type")), (200, kind));
        assert_eq!(response.header("access-control-allow-origin"), "*");
        assert_eq!(response.header("cross-origin-resource-policy"), "cross-origin");
        assert!(response.header("cache-control").contains("max-age"));
        assert!(!response.header("x-request-id").is_empty());
        assert!(response.text().contains(holds), "{path} is another file");

        let etag = response.header("etag");
        for known in [etag, &format!("W/{etag}"), &format!("\"older\", W/{etag}"), "*"] {
            let again = app.get(path, &[("If-None-Match", known)]);
            assert_eq!((again.status, again.body.len()), (304, 0), "{again:?}");
        }
        assert_eq!(app.get(path, &[("If-None-Match", "\"older\"")]).status, 200, "{path}");
        assert_eq!(response.header("vary"), "Accept-Encoding");
        app.request("POST", path, &[]).assert_refused(405, "method_not_allowed");
    }
}

fn unzipped(content: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    child.wait_with_output().unwrap().stdout
}

fn without_brotli(mut content: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    brotli_decompressor::BrotliDecompress(&mut content, &mut text).unwrap();
    text
}

#[rstest]
#[case::gzip("gzip", unzipped)]
#[case::brotli("br", without_brotli)]
fn a_compressed_file_is_the_same_file(#[case] encoding: &str, #[case] decode: fn(&[u8]) -> Vec<u8>) {
    let app = App::standard();
    for path in ["/embed.js", "/embed.d.ts"] {
        let plain = app.get(path, &[]);
        assert!(!plain.has("content-encoding"));
        let response = app.get(path, &[("Accept-Encoding", encoding)]);
        assert_eq!((response.status, response.header("content-encoding")), (200, encoding));
        assert_eq!(response.header("vary"), "Accept-Encoding");
        println!("{path}: {} bytes, {} with {encoding}", plain.body.len(), response.body.len());
        assert!(response.body.len() <= 6000, "{path} has {} bytes with {encoding}", response.body.len());
        assert!(decode(&response.body) == plain.body, "{path} is another file with {encoding}");

        // a separate representation, with its own tag
        let etag = response.header("etag");
        assert_ne!(etag, plain.header("etag"));
        let same = [("Accept-Encoding", encoding), ("If-None-Match", etag)];
        let known = app.get(path, &same);
        assert_eq!((known.status, known.header("vary")), (304, "Accept-Encoding"));
        assert!(!known.has("content-encoding"));
        assert_eq!(app.get(path, &[("If-None-Match", etag)]).status, 200);
    }
}

#[test]
fn the_script_has_an_address_that_never_changes() {
    let app = App::standard();
    let current = app.get("/embed.js", &[]);
    let path = current.header("content-location");
    assert!(path.starts_with("/embed.") && path.ends_with(".js") && path.len() == 26, "{path}");
    let hashed = app.get(path, &[("Accept-Encoding", "br")]);
    assert_eq!(hashed.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(hashed.header("access-control-allow-origin"), "*");
    assert_eq!(app.get(path, &[]).body, current.body);
    app.get("/embed.0123456789abcdef.js", &[]).assert_refused(404, "not_found");
    app.request("POST", path, &[]).assert_refused(405, "method_not_allowed");
}

#[test]
fn the_documents_have_the_integrity_of_the_script() {
    let script = App::standard().get("/embed.js", &[]);
    let integrity = STANDARD.encode(digest(&SHA384, &script.body));
    let path = script.header("content-location");
    let expected = format!(
        "<script type=\"module\" src=\"https://sso.app.example.com{path}\"\n        \
         integrity=\"sha384-{integrity}\"></script>"
    );
    let text = read(&root().join("docs/embedding.md"));
    assert!(text.contains(&expected), "docs/embedding.md needs:\n{expected}");
}

#[test]
fn embed_json_has_exactly_what_the_component_needs() {
    let app = App::start(with_shop());
    let about = |target: &str| app.get(target, &[PARENT]).json();
    assert_eq!(
        about("/embed.json"),
        json!({"entrance": "/pandium-sso", "marketplace_origin": "https://imp.sandbox.pandium.com",
            "login_url": "https://app.example.com/login", "proof_header": null, "proof_scheme": null})
    );
    assert_eq!(
        about("/embed.json?entrance=%2Fshop"),
        json!({"entrance": "/shop", "marketplace_origin": "https://imp.other.example:8443",
            "login_url": "https://app.example.com/login", "proof_header": "mp-authorization",
            "proof_scheme": "Bearer"})
    );
    let mistyped = app.get("/embed.json?entrance=/nowhere", &[PARENT]);
    mistyped.assert_refused(404, "not_found");
    assert_eq!(mistyped.header("access-control-allow-origin"), PARENT.1, "the page cannot read why");
    let foreign = app.get("/embed.json?entrance=/nowhere", &[("Origin", "https://evil.example")]);
    assert!(foreign.all("access-control-allow-origin").is_empty());
    app.get("/embed.json?entrance=/shop&entrance=/shop", &[PARENT]).assert_refused(400, "bad_link");
}

#[test]
fn origins_allowed_at_an_entrance_can_read_its_embed_json() {
    let app = App::start(with_shop());
    for (entrance, origin, is_allowed) in [
        ("/pandium-sso", "https://app.example.com", true),
        ("/pandium-sso", "https://evil.example", false),
        ("/shop", "https://shop.example.com", true),
        ("/pandium-sso", "https://shop.example.com", false),
    ] {
        let response = app.get(&format!("/embed.json?entrance={entrance}"), &[("Origin", origin)]);
        let allowed = response.all("access-control-allow-origin").concat();
        assert_eq!(allowed, if is_allowed { origin } else { "" }, "{entrance}");
        assert!(response.header("vary").contains("Origin"), "{response:?}");
        assert_eq!(response.header("cache-control"), "no-store", "{response:?}");
    }
}

#[test]
fn the_embed_page_passes_the_link_to_the_component() {
    let app = App::start(
        Settings::standard().set("pandium.link_parameters", ["integration_id", "display", "campaign"]),
    );
    let page = app.get("/embed?integration_id=1121&display=settings&campaign=a%22%3E%26b", &[]);
    assert_eq!(page.status, 200);
    let text = page.text();
    for part in [
        "entrance=\"&#x2f;pandium-sso\"",
        "integration-id=\"1121\"",
        "display=\"settings\"",
        "params=\"campaign=a%22%3E%26b\"",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-src 'self' https://imp.sandbox.pandium.com",
        "frame-ancestors https://app.example.com",
    ] {
        assert!(policy.contains(part), "{part} is missing: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(text.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "{text}");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin-allow-popups");

    let install = app.get("/embed?install=7", &[]).text();
    assert!(install.contains("install=\"7\""), "{install}");
    let another = app.get("/embed", &[]);
    assert!(!another.header("content-security-policy").contains(nonce), "the nonce is reused");
}

#[test]
fn the_embed_page_can_frame_a_refusal() {
    let app = App::standard();
    let framed = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Referer", "https://sso.app.example.com/"),
    ];
    let page = app.get("/pandium-sso", &framed);
    assert_eq!(page.status, 401);
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.ends_with("frame-ancestors https://app.example.com 'self'"), "{policy}");
    assert!(
        page.page().contains(r#"["https://app.example.com","https://sso.app.example.com"]"#),
        "{}",
        page.page()
    );
}

#[test]
fn a_bad_link_in_an_embed_url_is_refused() {
    let app = App::standard();
    for (target, status, reason) in [
        ("/embed?tenant=x", 400, "bad_link"),
        ("/embed?integration_id=x", 400, "bad_link"),
        ("/embed?install=x", 400, "bad_link"),
        ("/embed?entrance=/nowhere", 404, "not_found"),
        ("/embed?entrance=//evil.example/", 404, "not_found"),
        ("/embed/", 404, "not_found"),
    ] {
        app.get(target, &[]).assert_refused(status, reason);
    }
    assert_eq!(app.get("/embed?integration_id=7", &[]).status, 200);
}

#[test]
fn component_files_never_contain_a_token() {
    let app = App::standard();
    for path in ["/embed", "/embed.js", "/embed.json", "/embed.d.ts"] {
        let response = app.get(path, ALICE);
        assert_eq!(response.status, 200, "{path}");
        response.assert_no_token();
    }
    assert_eq!(
        app.metric(
            "marketplace_sso_handoffs_total",
            &[("entrance", "pandium-sso"), ("environment", "sandbox")]
        ),
        0.0
    );
    let outcomes: Vec<Value> = app.audit_events();
    assert!(outcomes.is_empty(), "{outcomes:?}");
}
