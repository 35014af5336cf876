//! `doctor` against a real nginx with TLS: a correct setup, and the usual errors in
//! one.

use std::net::TcpListener;
use std::process::Command;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::command::{CommandResult, File, run};
use crate::harness::key_server::{Behaviour, KeyServer};
use crate::harness::nginx::Nginx;
use crate::harness::{App, Settings, free_port};

/// A setup with its page at `/`, the cookie `session=alice`, and one replacement in
/// the nginx configuration.
struct Setup {
    _nginx: Nginx,
    _app: App,
    origin: String,
    ca: String,
    cookie: File,
}

/// Needs openssl: `make tools`.
const CERTIFICATE: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 \
    -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
    -keyout key.pem -out cert.pem";

const GOOD: &str = r#"
map $http_cookie $email { default ""; "session=alice" "alice@example.com"; }
server {
    listen unix:FOLDER/front.sock;
    listen 127.0.0.1:PORT ssl;
    ssl_certificate FOLDER/cert.pem;
    ssl_certificate_key FOLDER/key.pem;
    add_header Strict-Transport-Security "max-age=31536000" always;
    location = / {
        default_type text/html;
        add_header Content-Security-Policy "frame-src https://127.0.0.1:PORT MARKET; script-src https://127.0.0.1:PORT; connect-src 'self'";
        add_header Cross-Origin-Opener-Policy "same-origin-allow-popups";
        return 200 "<p>the app</p>";
    }
    location /pandium-sso {
        proxy_set_header X-Auth-Request-Email $email;
        proxy_pass http://SERVICE;
    }
    location /embed { proxy_pass http://SERVICE; }
    location / { return 404; }
}
"#;

impl Setup {
    /// A setup without errors.
    fn correct() -> Self {
        Self::new("", "", &[])
    }

    /// A setup in which `to` replaces `from` in the nginx configuration, with these origins in
    /// `embed.parents`.
    fn new(from: &str, to: &str, embed_parents: &[&str]) -> Self {
        Self::with_certificate(CERTIFICATE, from, to, embed_parents)
    }

    /// Like [`Self::new`], with a certificate that this command creates.
    fn with_certificate(command: &str, from: &str, to: &str, embed_parents: &[&str]) -> Self {
        assert!(GOOD.contains(from), "{from} is not in the good configuration");
        let port = free_port();
        let origin = format!("https://127.0.0.1:{port}");
        let market = TcpListener::bind("127.0.0.1:0").unwrap();
        let market_origin = format!("http://{}", market.local_addr().unwrap());
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for mut stream in market.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        let parents = if embed_parents.is_empty() { &[origin.as_str()][..] } else { embed_parents };
        let settings = Settings::standard().set("pandium.base_url", &market_origin);
        let app = App::start(settings.embed_parents(parents));
        let folder = TempDir::new().unwrap();
        let dir = folder.path().to_str().unwrap().to_owned();
        let created = Command::new("sh").args(["-c", command]).current_dir(&dir).output().unwrap();
        assert!(created.status.success(), "{created:?}");
        let ca = std::fs::read_to_string(format!("{dir}/cert.pem")).unwrap();
        let conf = GOOD
            .replace(from, to)
            .replace("PORT", &port.to_string())
            .replace("MARKET", &market_origin)
            .replace("SERVICE", &app.address().to_string())
            // last, because its random name could contain one of the others
            .replace("FOLDER", &dir);
        let (nginx, cookie) = (Nginx::start(folder, &conf), File::new("Cookie: session=alice\n"));
        Self { _nginx: nginx, _app: app, origin, ca, cookie }
    }

    /// Runs `doctor` without the CA of the server certificate.
    fn run_doctor_without_ca(&self) -> CommandResult {
        run(&["doctor", &self.origin, "--page", &format!("{}/", self.origin)])
    }

    fn run_doctor(&self) -> CommandResult {
        let ca = File::new(&self.ca);
        run(&[
            "doctor",
            &self.origin,
            "--page",
            &format!("{}/", self.origin),
            "--cookie-file",
            &self.cookie.text(),
            "--ca-file",
            &ca.text(),
        ])
    }
}

/// The lines of the findings, each beginning with its mark.
fn findings(result: &CommandResult) -> Vec<&str> {
    let is_finding = |line: &&str| ["✓ ", "- ", "! ", "✗ "].iter().any(|mark| line.starts_with(mark));
    // the line with the result has a mark, too, but is not indented
    result.output.lines().filter_map(|line| line.strip_prefix("  ")).filter(is_finding).collect()
}

/// The line of a check, empty if absent.
fn line_about(result: &CommandResult, check: &str) -> String {
    let is_about = |line: &&str| line.chars().skip(2).collect::<String>().starts_with(check);
    findings(result).into_iter().find(is_about).unwrap_or_default().to_owned()
}

#[test]
fn a_correct_setup_passes_every_check() {
    let result = Setup::correct().run_doctor();
    assert_eq!(result.status, 0, "{result:?}");
    let findings = findings(&result);
    assert!(findings.len() > 10 && findings.iter().all(|line| line.starts_with("✓")), "{}", result.output);
    let verdict = "✓ Nothing is broken.\n";
    assert!(result.output.starts_with(verdict) && result.output.ends_with(verdict), "{}", result.output);
    for group in ["proxy", "frame", "keys", "sizes"] {
        assert!(result.output.contains(&format!("\n\n{group}\n")), "{group}: {}", result.output);
    }
    assert!(!result.output.contains("eyJ"), "a token is shown: {}", result.output);
}

#[rstest]
#[case::forged("proxy_set_header X-Auth-Request-Email $email;", "", "✗", "forged headers")]
#[case::metrics_outside(
    "location / { return 404; }",
    "location / { return 200 \"marketplace_sso_requests_total 1\"; }",
    "✗",
    "internal paths"
)]
#[case::no_hsts("add_header Strict-Transport-Security \"max-age=31536000\" always;", "", "!", "encryption")]
#[case::no_frame_src("frame-src https://127.0.0.1:PORT MARKET", "frame-src 'self'", "✗", "frame-src")]
#[case::coop("same-origin-allow-popups", "same-origin", "✗", "opener")]
#[case::coep(
    "add_header Cross-Origin-Opener-Policy \"same-origin-allow-popups\";",
    "add_header Cross-Origin-Embedder-Policy require-corp;",
    "✗",
    "embedder"
)]
#[case::health_outside(
    "location / { return 404; }",
    "location / { proxy_pass http://SERVICE; }",
    "!",
    "internal paths"
)]
#[case::login_redirect(
    "proxy_set_header X-Auth-Request-Email $email;",
    "proxy_set_header X-Auth-Request-Email $email; if ($email = \"\") { return 302 https://login.example.com/; }",
    "!",
    "no login"
)]
#[case::login_down("location /pandium-sso {", "location /pandium-sso { return 503;", "✗", "no login")]
#[case::login_down_forged(
    "location /pandium-sso {",
    "location /pandium-sso { return 503;",
    "-",
    "forged headers"
)]
#[case::login_lost("\"session=alice\" \"alice@example.com\";", "", "✗", "signed in")]
#[case::small_buffers(
    "add_header Strict-Transport-Security \"max-age=31536000\" always;",
    "add_header Strict-Transport-Security \"max-age=31536000\" always; add_header X-Padding LONG;",
    "!",
    "headers"
)]
#[case::component_blocked_by_csp("script-src https://127.0.0.1:PORT", "script-src 'none'", "!", "component")]
#[case::everyone_is_alice(
    "X-Auth-Request-Email $email",
    "X-Auth-Request-Email alice@example.com",
    "✗",
    "no login"
)]
#[case::component_not_proxied("location /embed { proxy_pass http://SERVICE; }", "", "!", "entrance")]
fn each_setup_error_is_reported(
    #[case] from: &str,
    #[case] to: &str,
    #[case] grade: &str,
    #[case] check: &str,
) {
    let to = to.replace("LONG", &"x".repeat(3700));
    let result = Setup::new(from, &to, &[]).run_doctor();
    let line = line_about(&result, check);
    assert!(line.starts_with(grade), "{check} is not {grade}:\n{}", result.output);
    assert_eq!(result.status, i32::from(result.output.contains("  ✗ ")), "{result:?}");
}

/// Responses name nginx, so doctor prints configuration for nginx.
#[rstest]
#[case::forged(
    "proxy_set_header X-Auth-Request-Email $email;",
    "",
    "| proxy_set_header x-auth-request-email \"\";"
)]
#[case::no_frame_src(
    "frame-src https://127.0.0.1:PORT MARKET",
    "frame-src 'self'",
    "| Content-Security-Policy: frame-src http://127.0.0.1:"
)]
#[case::component("location /embed { proxy_pass http://SERVICE; }", "", "| location ~ ^/embed")]
fn doctor_says_what_to_write(#[case] from: &str, #[case] to: &str, #[case] snippet: &str) {
    let result = Setup::new(from, to, &[]).run_doctor();
    let is_shown = result.output.lines().any(|line| line.trim_start().starts_with(snippet));
    assert!(is_shown, "{snippet}: {}", result.output);
}

#[test]
fn doctor_prints_json_for_programs() {
    let app = App::standard();
    let url = format!("http://{}", app.address());
    let result = run(&["doctor", &url, "--format", "json", "--front", "caddy"]);
    assert_eq!((result.status, result.errors.as_str()), (1, ""), "{result:?}");
    let json: serde_json::Value = serde_json::from_str(&result.output).unwrap();
    assert_eq!((&json["ok"], &json["front"]), (&false.into(), &"caddy".into()));
    let forged =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["topic"] == "forged headers");
    let forged = forged.unwrap();
    assert_eq!((&forged["group"], &forged["severity"]), (&"proxy".into(), &"broken".into()));
    assert!(forged["snippet"].as_str().unwrap().contains("request_header -"), "{forged}");
    // responses of the service itself do not name a proxy
    let direct = run(&["doctor", &url]);
    assert!(direct.output.contains("name it with --front"), "{direct:?}");
    assert!(line_about(&direct, "forged headers").contains("run doctor on the proxy's"), "{direct:?}");
}

#[test]
fn an_unreachable_backend_is_one_finding() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let socket = folder.path().join("front.sock");
    let conf = format!(
        "server {{ listen unix:{}; listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:1; }} }}",
        socket.display()
    );
    let _nginx = Nginx::start(folder, &conf);
    let origin = format!("http://127.0.0.1:{port}");
    let result = run(&["doctor", &origin, "--page", &format!("{origin}/")]);
    let lines = findings(&result);
    assert_eq!((lines.len(), result.status), (1, 1), "{result:?}");
    assert!(
        lines[0].starts_with("✗") && lines[0].contains("nothing responds behind the proxy"),
        "{result:?}"
    );
    assert!(lines[0].contains("502"), "{result:?}");
    // the result does not repeat the finding, and is printed only once, to standard error
    let verdict = "The first check failed";
    assert!(!result.output.contains(verdict) && result.errors.matches(verdict).count() == 1, "{result:?}");
}

#[test]
fn a_503_refusal_is_not_an_unreachable_backend() {
    let response =
        r#"{"type":"urn:marketplace-sso:keys_unavailable","reason":"keys_unavailable","status":503}"#;
    let service = KeyServer::start(Behaviour::Respond(503, response.into())).unwrap();
    let result = run(&["doctor", &service.origin()]);
    assert!(!result.output.contains("nothing responds"), "{result:?}");
    assert!(findings(&result).len() > 3, "{result:?}");
}

#[rstest]
#[case::signed_on(Settings::standard(), "EVERY REQUEST IS SIGNED ON")]
#[case::not_allowed(Settings::standard().set("access.groups", ["staff"]), "not_allowed")]
fn a_fixed_login_is_not_reported_as_forged_headers(#[case] settings: Settings, #[case] message: &str) {
    let app = App::start(settings);
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let conf = format!(
        "server {{ listen unix:{}/front.sock; listen 127.0.0.1:{port}; \
         location / {{ proxy_set_header X-Auth-Request-Email alice@example.com; proxy_pass http://{}; }} }}",
        folder.path().display(),
        app.address()
    );
    let _nginx = Nginx::start(folder, &conf);
    let result = run(&["doctor", &format!("http://127.0.0.1:{port}")]);
    let line = line_about(&result, "no login");
    assert!(line.starts_with("✗") && line.contains(message), "{}", result.output);
    let line = line_about(&result, "forged headers");
    assert!(line.starts_with("- "), "forged headers cannot be judged here: {}", result.output);
}

#[test]
fn forged_headers_that_override_a_login_are_reported() {
    // the proxy sets the user only if the client has not sent the header
    let app = App::standard();
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let conf = format!(
        "map $http_x_auth_request_email $email {{ default $http_x_auth_request_email; \"\" alice@example.com; }}\n\
         server {{ listen unix:{}/front.sock; listen 127.0.0.1:{port}; \
         location / {{ proxy_set_header X-Auth-Request-Email $email; \
         proxy_set_header X-Auth-Request-User \"\"; proxy_set_header X-Auth-Request-Groups \"\"; \
         proxy_set_header X-Auth-Request-Preferred-Username \"\"; proxy_pass http://{}; }} }}",
        folder.path().display(),
        app.address()
    );
    let _nginx = Nginx::start(folder, &conf);
    let result = run(&["doctor", &format!("http://127.0.0.1:{port}")]);
    assert!(line_about(&result, "no login").contains("EVERY REQUEST IS SIGNED ON"), "{}", result.output);
    assert!(line_about(&result, "forged headers").starts_with("✗"), "{}", result.output);
    assert!(!result.output.contains("eyJ"), "a token is shown: {}", result.output);
}

#[test]
fn a_tls_failure_is_reported_once_in_plain_words() {
    let result = Setup::correct().run_doctor_without_ca();
    let lines = findings(&result);
    assert_eq!((lines.len(), result.status), (1, 1), "{result:?}");
    assert!(lines[0].starts_with("✗ encryption") && lines[0].contains("--ca-file"), "{result:?}");
    assert!(!lines[0].contains("UnknownIssuer"), "{result:?}");
}

#[test]
fn a_certificate_of_an_authority_comes_with_a_command() {
    let command = CERTIFICATE.replace("CA:FALSE", "CA:TRUE");
    let result = Setup::with_certificate(&command, "", "", &[]).run_doctor();
    let line = line_about(&result, "encryption");
    assert!(line.starts_with("✗") && line.contains("CA:TRUE") && line.contains("--ca-file"), "{result:?}");
    let command = result.output.lines().filter_map(|line| line.trim_start().strip_prefix("| "));
    let command = command.collect::<Vec<_>>().join("\n");
    assert!(command.contains("\nopenssl req "), "{}", result.output);
    // the certificate that this command creates is accepted
    let result = Setup::with_certificate(&command, "", "", &[]).run_doctor();
    assert_eq!(result.status, 0, "{result:?}");
}

#[test]
fn an_address_may_be_given_in_place_of_dns() {
    let app = App::standard();
    let authority = format!("app.example.com:{}", app.address().port());
    let (url, address) = (format!("http://{authority}"), format!("{authority}:127.0.0.1"));
    let result = run(&["doctor", &url, "--page", &format!("{url}/x"), "--resolve", &address]);
    assert!(line_about(&result, "clock").starts_with("✓"), "{result:?}");
    assert!(line_about(&result, "page").contains("responds with 404"), "{result:?}");

    let refused = run(&["doctor", "https://app.example.com", "--resolve", &address]);
    assert_eq!((refused.status, refused.output.as_str()), (2, ""), "{refused:?}");
    assert!(refused.errors.contains(&authority) && refused.errors.contains("443"), "{refused:?}");
    let invalid = run(&["doctor", &url, "--resolve", "app.example.com:127.0.0.1"]);
    assert!(invalid.status == 2 && invalid.errors.contains("HOST:PORT:ADDRESS"), "{invalid:?}");
}

#[test]
fn the_page_is_checked_without_embed_json() {
    let without = "location /embed { proxy_pass http://SERVICE; }";
    let result = Setup::new(without, "", &[]).run_doctor();
    assert!(line_about(&result, "entrance").contains("/embed.json"), "{}", result.output);
    for check in ["component", "opener", "embedder", "parents"] {
        assert!(line_about(&result, check).starts_with("✓"), "{check}: {}", result.output);
    }
    assert!(line_about(&result, "frame-src").starts_with("- "), "{}", result.output);
}

#[test]
fn a_page_outside_embed_parents_is_reported() {
    let result = Setup::new("", "", &["https://elsewhere.example"]).run_doctor();
    let line = line_about(&result, "parents");
    assert!(line.starts_with("✗") && line.contains("to embed.parents"), "{}", result.output);
}

#[rstest]
#[case::wrong_email_domain("access.email_domains", "example.com")]
#[case::missing_group("access.groups", "staff")]
fn a_forged_user_without_access_is_reported(#[case] key: &str, #[case] allowed: &str) {
    let app = App::start(Settings::standard().set(key, [allowed]));
    let result = run(&["doctor", &format!("http://{}", app.address())]);
    let line = line_about(&result, "forged headers");
    assert!(line.starts_with("✗") && line.contains("(not_allowed)"), "{}", result.output);
    assert_eq!(result.status, 1);
}

#[test]
fn forged_azure_principals_are_reported() {
    let app = App::start(Settings::proxy_headers("azure"));
    let result = run(&["doctor", &format!("http://{}", app.address())]);
    assert!(line_about(&result, "forged headers").starts_with("✗"), "{}", result.output);
}

#[test]
fn secrets_are_not_printed_or_sent_to_other_origins() {
    let elsewhere = KeyServer::start(Behaviour::Respond(200, "<p>".into())).unwrap();
    let setup = Setup::correct();
    let ca = File::new(&setup.ca);
    let page = elsewhere.origin().replace("http://", "http://user:hush-hush@") + "/page?token=hush-hush";
    let cookie = File::new("cookie: session=alice");
    let result = run(&[
        "doctor",
        &format!("{}/?x=hush-hush", setup.origin),
        "--page",
        &page,
        "--cookie-file",
        &cookie.text(),
        "--ca-file",
        &ca.text(),
    ]);
    assert!(line_about(&result, "signed in").starts_with("✓"), "{}", result.output);
    assert!(
        !format!("{result:?}").contains("hush-hush") && !format!("{result:?}").contains("eyJ"),
        "{result:?}"
    );
    assert_eq!(elsewhere.requested_paths(), ["/page?token=hush-hush"]);
}

#[rstest]
#[case::no_header(&["doctor", "https://app.example.com", "--identity-header", "X-User:"], 2)]
#[case::no_address(&["doctor", "app.example.com"], 2)]
#[case::a_file(&["doctor", "file:///etc/passwd"], 2)]
#[case::no_such_cookie_file(&["doctor", "https://app.example.com", "--cookie-file", "/nowhere"], 2)]
#[case::nothing_listens(&["doctor", "https://127.0.0.1:1"], 1)]
fn unusable_arguments_and_targets_are_errors(#[case] arguments: &[&str], #[case] status: i32) {
    let result = run(arguments);
    assert_eq!(result.status, status, "{result:?}");
    assert!(!result.errors.is_empty(), "{result:?}");
}
