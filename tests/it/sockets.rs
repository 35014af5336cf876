//! Listening on a Unix socket: its file mode decides which peers can connect, and an existing file
//! at its path is replaced only if it is a stale socket.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::command::run;
use crate::harness::{ALICE, App, Connection, Settings};

#[test]
fn the_socket_has_the_configured_file_mode() {
    let folder = TempDir::new().unwrap();
    let _app = App::start(Settings::on_socket(&socket_in(&folder)).set("server.unix_socket_mode", "600"));
    let socket = socket_in(&folder);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut entries: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    assert_eq!(entries, ["sso.sock"], "no other file remains");
}

#[rstest]
#[case("666")]
#[case("777")]
#[case("661")]
#[case("1660")]
#[case("rw")]
fn a_world_writable_mode_is_rejected(#[case] mode: &str) {
    let settings = Settings::standard().set("server.unix_socket_mode", mode);
    settings.assert_wrong("server.unix_socket_mode", "");
}

#[test]
fn a_stale_socket_is_replaced() {
    let (app, folder) = start();
    drop(app);
    assert!(
        std::fs::metadata(socket_in(&folder)).unwrap().file_type().is_socket(),
        "the socket of the killed process remains"
    );
    let _again = App::start(Settings::on_socket(&socket_in(&folder)));
    assert_eq!(request(&folder), 307);
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let (_app, folder) = start();
    let result = run(&["serve", "--config", &Settings::on_socket(&socket_in(&folder)).file().text()]);
    assert!(result.status == 1 && result.errors.contains("another process listens there"), "{result:?}");
    assert_eq!(request(&folder), 307);
}

#[test]
fn a_regular_file_is_left_alone() {
    let folder = TempDir::new().unwrap();
    std::fs::write(socket_in(&folder), "precious").unwrap();
    let result = run(&["serve", "--config", &Settings::on_socket(&socket_in(&folder)).file().text()]);
    assert!(result.status == 1 && result.errors.contains("not a socket"), "{result:?}");
    assert_eq!(std::fs::read_to_string(socket_in(&folder)).unwrap(), "precious");
}

#[test]
fn unix_peers_are_logged_and_headers_stay_strict() {
    let (app, folder) = start();
    let mut connection = Connection::over(UnixStream::connect(socket_in(&folder)).unwrap());
    let known = connection.request("GET", "/pandium-sso", ALICE).unwrap();
    let id = known.header("x-request-id").to_owned();
    let event = app.wait_for_line(|line| line["request_id"] == id.as_str());
    assert_eq!(event["peer"], "unix");
    let twice = connection.request("GET", "/pandium-sso", &[ALICE, ALICE].concat()).unwrap();
    twice.assert_refused(400, "ambiguous_identity");
    connection.request("GET", "/pandium-sso", &[]).unwrap().assert_refused(401, "unauthenticated");
}

/// A service on a socket in a new folder.
fn start() -> (App, TempDir) {
    let folder = TempDir::new().unwrap();
    (App::start(Settings::on_socket(&socket_in(&folder))), folder)
}

fn socket_in(folder: &TempDir) -> std::path::PathBuf {
    Path::new(folder.path()).join("sso.sock")
}

/// The status of a request of Alice on the socket.
fn request(folder: &TempDir) -> u16 {
    let mut connection = Connection::over(UnixStream::connect(socket_in(folder)).unwrap());
    connection.request("GET", "/pandium-sso", ALICE).unwrap().status
}
