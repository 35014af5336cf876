//! Reloads under load: a new configuration is swapped atomically and no request
//! fails; an invalid one changes nothing.

use std::ops::RangeInclusive;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::command::replace_file;
use crate::harness::issuer::{Key, jwks};
use crate::harness::key_server::GatedServer;
use crate::harness::{ALICE, App, Connection, Field, SECRET, Settings, Token, wait_until};

const APPLIED: &[(&str, &str)] = &[("result", "applied")];
const REFUSED: &[(&str, &str)] = &[("result", "refused")];
const RELOADS: &str = "marketplace_sso_config_reloads_total";

#[test]
fn a_changed_file_applies_without_a_failed_request() {
    let app = App::start(Settings::standard().set("pandium.account", "first"));
    let paths = during_requests(&app, || {
        replace(&app, "[pandium]\naccount = \"second\"");
        app.wait_for_metric(RELOADS, APPLIED, 1.0);
    });
    assert_eq!(paths, ["/first", "/second"]);
    app.wait_for_line(|line| line["message"] == "the new configuration is in use");
}

#[test]
fn sighup_reloads_the_configuration() {
    let app = App::standard();
    during_requests(&app, || {
        for times in 1..=3 {
            app.signal("HUP");
            app.wait_for_metric(RELOADS, APPLIED, f64::from(times));
        }
    });
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
}

#[test]
fn an_invalid_file_leaves_the_old_configuration_in_use() {
    let app = App::start(Settings::standard().set("pandium.account", "first"));
    let paths = during_requests(&app, || {
        replace(&app, "[pandium]\naccount = \"no slug\"\nunknown = 1");
        app.wait_for_metric(RELOADS, REFUSED, 1.0);
    });
    assert_eq!(paths, ["/first"]);
    let line = app
        .wait_for_line(|line| line["message"] == "the new configuration is wrong; the old one stays in use");
    let problems = line["problems"].as_str().unwrap();
    assert!(problems.contains("pandium.account") && problems.contains("pandium.unknown"), "{problems}");
    assert!(app.metric(RELOADS, APPLIED) < 0.5);

    replace(&app, "[pandium]\naccount = \"second\"");
    app.wait_for_metric(RELOADS, APPLIED, 1.0);
    assert_eq!(Token::of(&app.get("/pandium-sso", ALICE)).url.path(), "/second");
}

#[test]
fn a_file_that_is_written_in_place_is_reloaded() {
    let app = App::standard();
    std::fs::write(app.config_file(), "[pandium]\naccount = \"second\"").unwrap();
    wait_until("it is in use", || Token::of(&app.get("/pandium-sso", ALICE)).url.path() == "/second");
}

#[test]
fn a_missing_file_changes_nothing() {
    let app = App::start(Settings::standard().set("pandium.account", "first"));
    std::fs::remove_file(app.config_file()).unwrap();
    app.wait_for_metric(RELOADS, REFUSED, 1.0);
    assert_eq!(Token::of(&app.get("/pandium-sso", ALICE)).url.path(), "/first");
    replace(&app, "[pandium]\naccount = \"second\"");
    app.wait_for_metric(RELOADS, APPLIED, 1.0);
    assert_eq!(Token::of(&app.get("/pandium-sso", ALICE)).url.path(), "/second");
}

// T1
#[test]
fn a_removed_proxy_is_refused_on_an_open_connection() {
    let app = App::standard();
    let mut connection = Connection::open(app.address()).unwrap();
    assert_eq!(connection.request("GET", "/pandium-sso", ALICE).unwrap().status, 307);
    replace(&app, "[identity]\ntrusted_proxies = [\"192.0.2.1\"]");
    app.wait_for_metric(RELOADS, APPLIED, 1.0);
    connection.request("GET", "/pandium-sso", ALICE).unwrap().assert_refused(403, "untrusted_peer");
}

#[test]
fn a_swapped_kubernetes_secret_signs_the_next_token() {
    let folder = TempDir::new().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    write_as_kubernetes(&secrets, "..2026_1", SECRET);
    symlink("..data/pandium", secrets.join("pandium")).unwrap();
    // the configuration may have only one form of the secret
    let file = secrets.join("pandium");
    let app = App::start_in(folder, Settings::standard().secret_file(&file));
    let before = app.get("/pandium-sso", ALICE);
    Token::in_url(before.header("location"), SECRET);

    let newer = SECRET.to_uppercase();
    write_as_kubernetes(&secrets, "..2026_2", &newer);
    app.wait_for_metric(RELOADS, APPLIED, 1.0);
    Token::in_url(app.get("/pandium-sso", ALICE).header("location"), &newer);

    write_as_kubernetes(&secrets, "..2026_3", "too short");
    app.wait_for_metric(RELOADS, REFUSED, 1.0);
    Token::in_url(app.get("/pandium-sso", ALICE).header("location"), &newer);
}

#[test]
fn symlinked_and_restored_secrets_are_reloaded() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (target, file) = (elsewhere.path().join("pandium"), folder.path().join("link"));
    std::fs::write(&target, SECRET).unwrap();
    symlink(&target, &file).unwrap();
    let app = App::start_in(folder, Settings::standard().secret_file(&file));

    let newer = SECRET.to_uppercase();
    std::fs::write(&target, &newer).unwrap();
    app.wait_for_metric(RELOADS, APPLIED, 1.0);
    Token::in_url(app.get("/pandium-sso", ALICE).header("location"), &newer);

    std::fs::remove_file(&file).unwrap();
    app.wait_for_metric(RELOADS, REFUSED, 1.0);
    Token::in_url(app.get("/pandium-sso", ALICE).header("location"), &newer);
    std::fs::write(&file, SECRET).unwrap();
    app.wait_for_metric(RELOADS, APPLIED, 2.0);
    Token::in_url(app.get("/pandium-sso", ALICE).header("location"), SECRET);
}

/// If a writer pauses for longer than the service waits for changes, the service takes the file as
/// complete. So an attempt counts only if no step took that long; `src/server/reload.rs` tests the
/// waiting without a clock.
#[test]
fn a_half_written_file_is_not_applied() {
    const SETTLE_TIME: Duration = Duration::from_millis(150);
    // longer than the time between two polls, shorter than the service waits for a changing file
    const WRITING: RangeInclusive<Duration> = Duration::from_millis(2_500)..=Duration::from_millis(5_000);
    let app = App::standard();
    app.reconfigure("[access]\ndenied_groups = [\"guests\"]");
    let before = app.metric(RELOADS, APPLIED);
    let guest = [ALICE, &[("X-Auth-Request-Groups", "guests")]].concat();
    let is_writing = AtomicBool::new(true);
    let (is_denied, took, longest) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (started, mut longest) = (Instant::now(), Duration::ZERO);
            let mut begun = started;
            // in each of these steps the file is valid TOML but incomplete
            for step in 0.. {
                let previous = std::mem::replace(&mut begun, Instant::now());
                std::fs::write(app.config_file(), format!("# step {step}\n")).unwrap();
                // the longest time for which the content of one step was in the file
                longest = longest.max(previous.elapsed());
                if started.elapsed() > *WRITING.start() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            std::fs::write(app.config_file(), "# done\n[access]\ndenied_groups = [\"guests\"]").unwrap();
            longest = longest.max(begun.elapsed());
            is_writing.store(false, Ordering::Relaxed);
            (started.elapsed(), longest)
        });
        let mut is_denied = true;
        while is_writing.load(Ordering::Relaxed) {
            is_denied &= app.get("/pandium-sso", &guest).reason() == "not_allowed";
        }
        let (took, longest) = writer.join().unwrap();
        (is_denied, took, longest)
    });
    let is_steady = longest < SETTLE_TIME && WRITING.contains(&took);
    assert!(is_denied || !is_steady, "applied; no step took longer than {longest:?} of {took:?}");
    wait_until("applied", || app.metric(RELOADS, APPLIED) > before + 0.5);
    wait_until("the whole file is in use", || app.get("/pandium-sso", &guest).reason() == "not_allowed");
}

#[test]
fn a_blocking_pipe_does_not_block_requests() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writing = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, SECRET)
    });
    let mut app = App::start_in(folder, Settings::standard().secret_file(&pipe));
    writing.join().unwrap().unwrap();
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    // reading the pipe again blocks; requests and signals must not
    app.signal("HUP");
    app.wait_for_line(|line| line["message"] == "SIGHUP: reading the configuration again");
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    // unblock the reader, so that the process can end
    std::fs::write(&pipe, SECRET).unwrap();
    app.signal("TERM");
    assert!(app.wait().success());
}

#[test]
fn a_setting_that_needs_a_restart_is_logged() {
    let app = App::standard();
    replace(&app, "[server]\nkeep_alive_s = 5");
    app.wait_for_line(|line| line["message"].as_str().is_some_and(|text| text.contains("after a restart")));
}

/// Replaces the configuration atomically.
fn replace(app: &App, toml: &str) {
    replace_file(&app.config_file(), toml);
}

/// Writes a new version into its own folder, then switches `..data` atomically.
fn write_as_kubernetes(secrets: &Path, version: &str, secret: &str) {
    std::fs::create_dir(secrets.join(version)).unwrap();
    std::fs::write(secrets.join(version).join("pandium"), secret).unwrap();
    symlink(version, secrets.join("..data_tmp")).unwrap();
    std::fs::rename(secrets.join("..data_tmp"), secrets.join("..data")).unwrap();
}

/// Runs an action under constant requests. Returns the paths of the destinations, in
/// order of appearance.
fn during_requests(app: &App, what: impl FnOnce()) -> Vec<String> {
    const CLIENTS: usize = 3;
    let (has_begun, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let request = || {
        let mut connection = Connection::open(app.address()).unwrap();
        let mut next_path = || {
            let response = connection.request("GET", "/pandium-sso", ALICE).unwrap();
            assert_eq!(response.status, 307);
            Token::of(&response).url.path().to_owned()
        };
        let mut paths = vec![next_path()];
        has_begun.fetch_add(1, Ordering::Relaxed);
        while !is_over.load(Ordering::Relaxed) {
            paths.push(next_path());
        }
        // the new configuration also applies to open connections
        paths.push(next_path());
        paths.dedup();
        paths
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(request)).collect();
        // a client that fails ends the test and the other clients
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("every client has a response", || has_begun.load(Ordering::Relaxed) == CLIENTS);
            what();
        }));
        is_over.store(true, Ordering::Relaxed);
        let mut paths: Vec<Vec<String>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        done.unwrap();
        paths.dedup();
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths.remove(0)
    })
}

/// The step between two decisions of one request: its keys are fetched. The steps
/// before and after it are tested in `src/http/mod.rs`.
#[test]
fn a_reload_while_keys_are_fetched_is_not_seen() {
    const ORIGIN: Field<'_> = ("Origin", "https://older.example");
    let key = Key::new("ES256");
    let gate = GatedServer::start(&[("/keys", &jwks(&[key.jwk(Some("k-1"))]))], false);
    let settings = |name: &str, environment: &str| {
        Settings::standard()
            .set("environment", environment)
            .set("branding.name", format!("{name}-brand"))
            .embed_parents(&[&format!("https://{name}.example")])
            .set("embed.login_url", format!("https://{name}.example/login"))
            .set("pandium.account", name)
    };
    let partners =
        Settings::bearer().jwks_url(&format!("{}/keys", gate.origin())).identity("jwks_timeout_s", 60);
    let app = App::standard();
    app.reconfigure(&settings("older", "sandbox").entrance("partners", &partners).text());
    gate.wait_until_requested(1);
    let token = |key: &Key| format!("Bearer {}", key.token_with_kid("k-1"));
    let (good, bad) = (token(&key), token(&Key::new("ES256")));
    let requests: [(&str, &[Field<'_>]); 4] = [
        ("/partners", &[("Authorization", &good)]),
        ("/partners", &[("Authorization", &good), ("Accept", "application/json"), ORIGIN]),
        ("/partners", &[("Authorization", &bad), ("Accept", "text/html")]),
        ("/v1/verify/partners", &[("Authorization", &good)]),
    ];
    let responses = std::thread::scope(|scope| {
        let waiting = requests.map(|(path, headers)| scope.spawn(|| app.get(path, headers)));
        wait_until("all wait", || app.metric("marketplace_sso_requests_in_flight", &[]) > 4.5);
        app.reconfigure(&settings("newer", "production").text());
        gate.open();
        waiting.map(|request| request.join().unwrap())
    });
    assert_eq!(responses.each_ref().map(|response| response.status), [307, 200, 401, 200]);
    let [redirect, json, page, verified] = &responses;
    for url in [redirect.header("location"), json.json()["url"].as_str().unwrap()] {
        assert!(url.starts_with("https://imp.sandbox.pandium.com/older"), "{url}");
    }
    assert_eq!(json.header("access-control-allow-origin"), ORIGIN.1);
    assert!(page.page().contains("older-brand") && page.page().contains("https://older.example/login"));
    assert_eq!(verified.json()["entrance"], "partners");
    for response in [redirect, json, page] {
        let policy = response.header("content-security-policy");
        assert!(policy.contains("frame-ancestors https://older.example"), "{policy}");
    }
    for response in &responses {
        assert!(!format!("{:?}{}", response.headers, response.page()).contains("newer"), "{response:?}");
        let event = app.audit_event_of(response);
        assert_eq!((&event["entrance"], &event["environment"]), (&"partners".into(), &"sandbox".into()));
    }
    app.get("/partners", &[("Authorization", &good)]).assert_refused(404, "not_found");
    let later = app.get("/pandium-sso", ALICE);
    assert!(later.header("location").starts_with("https://imp.pandium.io/newer"), "{later:?}");
}
