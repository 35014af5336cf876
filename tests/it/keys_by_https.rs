//! Keys over HTTPS: only from a server whose certificate is signed by the configured
//! CA.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::issuer::{Key, jwks};
use crate::harness::key_server::{fetching, wait_until};
use crate::harness::nginx::Nginx;
use crate::harness::{App, Settings, free_port};

/// Runs openssl in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments.split(' ')).current_dir(folder).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

/// A CA `NAME.pem`, and a server key and certificate signed by it.
fn authority(folder: &Path, name: &str) {
    let new_key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new_key} -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    openssl(
        folder,
        &format!(
            "{new_key} -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE -CA {name}.pem -CAkey {name}.key \
             -keyout {name}-server.key -out {name}-server.pem"
        ),
    );
}

#[test]
fn a_key_server_is_trusted_by_its_ca_only() {
    let folder = TempDir::new().unwrap();
    for name in ["ours", "theirs"] {
        authority(folder.path(), name);
    }
    let dir = folder.path().to_str().unwrap().to_owned();
    let key = Key::new("ES256");
    std::fs::write(folder.path().join("keys"), jwks(&[key.jwk(Some("k-1"))])).unwrap();
    // nginx cannot listen on port 0
    let [ours, theirs] = [free_port(), free_port()];
    let server = |name: &str, port: u16| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; root {dir}; ssl_certificate {dir}/{name}-server.pem; \
             ssl_certificate_key {dir}/{name}-server.key; }}\n"
        )
    };
    let http = server("ours", ours) + &server("theirs", theirs);
    let last = format!("server {{ listen unix:{dir}/front.sock; }}");
    let _nginx = Nginx::start(folder, &format!("{http}{last}"));

    let settings = |scheme: &str, port: u16| {
        let settings = fetching(&format!("{scheme}://127.0.0.1:{port}"));
        settings.identity("jwks_min_refresh_interval_s", 1)
    };
    let with_ca = |settings: Settings| settings.identity("jwks_ca_file", format!("{dir}/ours.pem"));
    for (what, settings, status) in [
        ("of our CA", with_ca(settings("https", ours)), 307),
        ("of another CA", with_ca(settings("https", theirs)), 503),
        ("without our CA", settings("https", ours), 503),
    ] {
        let app = App::start_ready(settings);
        let response = app.send_token(&key.token_with_kid("k-1"));
        assert_eq!(response.status, status, "{what}: {response:?}");
        if status == 503 {
            app.wait_for_line(|line| {
                line["error"].as_str().is_some_and(|error| error.contains("certificate"))
            });
        }
    }
    // the same server does not speak plain HTTP
    let app = App::start(with_ca(settings("http", ours)));
    wait_until("a failed fetch", || app.entrances_without_keys() == ["pandium-sso"]);
    app.send_token(&key.token_with_kid("k-1")).assert_refused(503, "keys_unavailable");
}
