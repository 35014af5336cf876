//! The playground as a user sees it: sign in, open the marketplace, see the user in it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rstest::rstest;
use tempfile::TempDir;
use url::Url;

use crate::harness::command::{self, closed_pipe};
use crate::harness::lines::OutputLines;
use crate::harness::{Connection, Field, PROGRAM, Response, TIMEOUT, signal, wait, wire};

/// The header fields of a request for a frame of the app's own page.
pub const FRAME: [Field<'static>; 4] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// A running playground.
pub struct Playground {
    child: Child,
    pub origin: String,
    /// Its temporary files: the process is killed on drop, and does not remove them.
    _folder: TempDir,
}

/// The command, with a folder for its temporary files.
fn playground_command() -> (Command, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut program = Command::new(PROGRAM);
    program.arg("playground").env_clear().env("TMPDIR", folder.path());
    (program, folder)
}

impl Playground {
    pub fn start() -> Self {
        Self::start_with(&[], "password")
    }

    /// Starts a playground with further arguments, and waits for a line of its output.
    pub fn start_with(arguments: &[&str], expected: &str) -> Self {
        Self::start_as(&[&["--listen", "127.0.0.1:0"], arguments].concat(), expected).0
    }

    /// Starts a playground with only these arguments. Also returns its output.
    fn start_as(arguments: &[&str], expected: &str) -> (Self, Arc<OutputLines>) {
        let (mut program, folder) = playground_command();
        let (child, lines) = OutputLines::spawn(program.args(arguments));
        let mut playground = Self { child, origin: String::new(), _folder: folder };
        let line = lines.wait_for_text(TIMEOUT, |line| line.trim().starts_with("http://"));
        playground.origin = line.trim().to_owned();
        lines.wait_for_text(TIMEOUT, |line| line.contains(expected));
        (playground, lines)
    }

    /// Starts a playground whose output pipes are closed.
    pub fn start_unread() -> Self {
        let (mut program, folder) = playground_command();
        let child = program
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(closed_pipe())
            .stderr(closed_pipe())
            .spawn()
            .unwrap();
        Self { child, origin: String::new(), _folder: folder }
    }

    /// Sends a request as a same-origin page does.
    pub fn request(&self, method: &str, path: &str, headers: &[Field<'_>], body: &str) -> Response {
        self.request_from(&self.origin, method, path, headers, body)
    }

    /// Sends a request as a page of this origin does.
    pub fn request_from(
        &self,
        origin: &str,
        method: &str,
        path: &str,
        headers: &[Field<'_>],
        body: &str,
    ) -> Response {
        let host = self.origin.strip_prefix("http://").unwrap();
        let length = body.len().to_string();
        let kind =
            if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let own =
            [("Host", host), ("Origin", origin), ("Content-Type", kind), ("Content-Length", length.as_str())];
        let request =
            [wire::request_bytes(method, path, &[&own, headers].concat()), body.as_bytes().to_vec()].concat();
        let mut connection = Connection::open(host.parse().unwrap()).unwrap();
        connection.write(&request).unwrap();
        connection.read(method).unwrap()
    }

    pub fn get(&self, path: &str, headers: &[Field<'_>]) -> Response {
        self.request("GET", path, headers, "")
    }

    /// Signs in and returns the session cookie.
    pub fn sign_in(&self, user: &str) -> String {
        let response = self.request("POST", "/login", &[], &format!("user={user}&password=playground"));
        assert_eq!((response.status, response.header("location")), (303, "/"));
        let cookie = response.header("set-cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The page of the marketplace for this session cookie.
    fn marketplace(&self, path: &str, cookie: &str) -> Response {
        follow(&self.get(path, &[&FRAME[..], &[("Cookie", cookie)]].concat()))
    }
}

impl Playground {
    /// Stops it like Ctrl-C.
    pub fn interrupt(&mut self) {
        signal(self.child.id(), "INT");
        assert_eq!(wait(&mut self.child).code(), Some(0));
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Follows a redirect.
fn follow(response: &Response) -> Response {
    follow_with(response, &[])
}

/// Follows a redirect of a frame.
pub fn follow_in_frame(response: &Response) -> Response {
    follow_with(response, &[("Sec-Fetch-Dest", "iframe")])
}

fn follow_with(response: &Response, headers: &[Field<'_>]) -> Response {
    assert_eq!(response.status, 307, "{response:?}");
    let url = Url::parse(response.header("location")).unwrap();
    let address: SocketAddr = url.socket_addrs(|| None).unwrap()[0];
    let target = &url[url::Position::BeforePath..];
    let host = address.to_string();
    wire::request(address, "GET", target, &[&[("Host", host.as_str())], headers].concat()).unwrap()
}

#[rstest]
#[case::free("usr-201", "Ada Winter", "Winter Pottery", "Free", "1 of 2 installs used")]
#[case::pro("usr-318", "Ben Okafor", "Okafor Cycles", "Pro", "2 of 5 installs used")]
#[case::enterprise("usr-407", "Carla Mendes", "Mendes Trading Group", "Enterprise", "4 of 50 installs used")]
fn each_sample_user_is_signed_on(
    #[case] user: &str,
    #[case] name: &str,
    #[case] organization: &str,
    #[case] tier: &str,
    #[case] installs: &str,
) {
    let playground = Playground::start();
    let cookie = playground.sign_in(user);
    let home = playground.get("/", &[("Cookie", &cookie)]);
    assert!(home.status == 200 && home.text().contains(name), "{}", home.text());
    assert!(home.text().contains("/pandium-sso"));

    let shown = playground.marketplace("/pandium-sso", &cookie);
    assert_eq!(shown.status, 200, "{}", shown.text());
    let text = shown.text();
    assert!(text.contains(&format!("Integrations for {organization}")), "{text}");
    assert!(
        text.contains(&format!("Signed on as {name}")) && text.contains(&format!(">{tier}</span>")),
        "{text}"
    );
    assert!(text.contains(installs), "{text}");
    assert!(
        shown.header("content-security-policy").contains(&format!("frame-ancestors {}", playground.origin))
    );
}

#[test]
fn links_open_pages_of_the_marketplace() {
    let playground = Playground::start();
    let cookie = playground.sign_in("usr-318");
    let settings = playground.marketplace("/pandium-sso?integration_id=1121&display=settings", &cookie);
    assert!(settings.status == 200 && settings.text().contains("for Ben Okafor"), "{}", settings.text());
    // an integration outside the plan cannot be installed
    let ada = playground.sign_in("usr-201");
    let refused = playground.marketplace("/pandium-sso/install/1128", &ada);
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[test]
fn wrong_passwords_and_cross_site_forms_are_refused() {
    let playground = Playground::start();
    for form in ["user=usr-201&password=wrong", "user=usr-201&password=", "user=nobody&password=playground"] {
        let response = playground.request("POST", "/login", &[], form);
        assert_eq!(response.status, 401, "{form}");
        assert!(!response.has("set-cookie"));
    }
    let form = "user=usr-201&password=playground";
    let response = playground.request_from("https://evil.example", "POST", "/login", &[], form);
    assert_eq!(response.status, 403);
    assert!(!response.has("set-cookie"));
}

#[test]
fn the_proxy_forwards_the_refusal_page() {
    let playground = Playground::start();
    for headers in [FRAME.to_vec(), [&FRAME[..], &[("Cookie", "larkspur_session=made-up")]].concat()] {
        let page = playground.get("/pandium-sso", &headers);
        assert_eq!(page.status, 401);
        page.assert_no_token();
        let login = format!("{}/login", playground.origin);
        assert!(page.page().contains("unauthenticated") && page.page().contains(&login), "{}", page.page());
    }
}

#[test]
fn the_proxy_removes_forged_identity_headers() {
    let playground = Playground::start();
    let cookie = playground.sign_in("usr-201");
    for name in
        ["X-Auth-Request-Email", "x_auth_request_email", "X.Auth.Request.Email", "X-Auth-Request-Plan"]
    {
        let forged = [(name, "carla@mendes-trading.example"), ("Accept", "application/json")];
        playground.get("/pandium-sso", &forged).assert_refused(401, "unauthenticated");
        let with_session = [&FRAME[..], &[(name, "enterprise"), ("Cookie", &cookie)]].concat();
        let shown = follow(&playground.get("/pandium-sso", &with_session)).text();
        assert!(
            shown.contains("Signed on as Ada Winter") && shown.contains(">Free</span>"),
            "{name}: {shown}"
        );
    }
    let hidden = [("Connection", "X-Auth-Request-Email"), ("Cookie", cookie.as_str())];
    let shown = follow(&playground.get("/pandium-sso", &[&FRAME[..], &hidden].concat())).text();
    assert!(shown.contains("Signed on as Ada Winter"), "{shown}");
}

#[test]
fn the_stand_in_marketplace_rejects_invalid_tokens() {
    let playground = Playground::start();
    let cookie = playground.sign_in("usr-201");
    let response = playground.get("/pandium-sso", &[&FRAME[..], &[("Cookie", &cookie)]].concat());
    let url = Url::parse(response.header("location")).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let good = &url[url::Position::BeforePath..];
    let request = |target: &str| {
        wire::request(address, "GET", target, &[("Host", &address.to_string())]).unwrap().status
    };
    assert_eq!(request(good), 200);
    let (path, _) = good.split_once('?').unwrap();
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    assert_eq!(request(path), 401);
    assert_eq!(request(&format!("{unsigned}.")), 401);
    assert_eq!(request(&format!("{path}?tenant=eyJhbGciOiJub25lIn0.e30.")), 401);
}

#[test]
fn ctrl_c_stops_the_playground() {
    Playground::start().interrupt();
}

/// Hosts by which DNS rebinding could reach this machine.
const FOREIGN: [&str; 4] = ["rebound.example", "rebound.example:80", "127.0.0.1", ""];

/// Sends a request with a `Host` to a server of the playground.
fn request_as(host: &str, at: &str, method: &str, target: &str, more: &[Field<'_>]) -> Response {
    wire::request(at.parse().unwrap(), method, target, &[&[("Host", host)], more].concat()).unwrap()
}

#[test]
fn the_sample_app_serves_its_own_host_only() {
    let playground = Playground::start();
    let cookie = playground.sign_in("usr-201");
    let own = playground.origin.strip_prefix("http://").unwrap();
    for path in ["/", "/login", "/pandium-sso"] {
        let browser = [&FRAME[..], &[("Cookie", cookie.as_str())]].concat();
        assert!(matches!(request_as(own, own, "GET", path, &browser).status, 200 | 307));
        for host in FOREIGN {
            let response = request_as(host, own, "GET", path, &browser);
            assert_eq!(response.status, 307, "{host} {path}");
            assert_eq!(response.header("location"), format!("{}/", playground.origin));
            assert!(response.body.is_empty(), "{host} {path}");
        }
    }
    for host in FOREIGN {
        let origin = format!("http://{host}");
        assert_eq!(request_as(host, own, "POST", "/login", &[("Origin", &origin)]).status, 421, "{host}");
    }
    let twice = format!("GET / HTTP/1.1\r\nHost: {own}\r\nHost: rebound.example\r\n\r\n");
    assert_ne!(wire::send(own.parse().unwrap(), twice.as_bytes()).unwrap().status, 200);
}

#[test]
fn the_stand_in_marketplace_serves_its_own_host_only() {
    let playground = Playground::start();
    let cookie = playground.sign_in("usr-201");
    let response = playground.get("/pandium-sso", &[&FRAME[..], &[("Cookie", &cookie)]].concat());
    let url = Url::parse(response.header("location")).unwrap();
    let own = url.socket_addrs(|| None).unwrap()[0].to_string();
    let target = &url[url::Position::BeforePath..];
    assert_eq!(request_as(&own, &own, "GET", target, &[]).status, 200);
    for host in FOREIGN {
        let response = request_as(host, &own, "GET", target, &[]);
        assert!(response.status == 307 && response.body.is_empty(), "{host}: {response:?}");
        assert_eq!(request_as(host, &own, "POST", target, &[]).status, 421, "{host}");
    }
}

#[test]
fn a_busy_default_port_is_skipped() {
    // if this fails, the port is in use already
    let _busy = std::net::TcpListener::bind("127.0.0.1:8088");
    let (mut playground, _) = Playground::start_as(&[], "password");
    let port = Url::parse(&playground.origin).unwrap().port().unwrap();
    assert!((8089..=8187).contains(&port), "{port}");
    assert_eq!(playground.get("/login", &[]).status, 200);

    let named = command::run(&["playground", "--listen", &port.to_string()]);
    assert!(named.status == 1 && named.errors.contains("--listen"), "{named:?}");
    playground.interrupt();
}

#[test]
fn a_non_loopback_listener_is_a_warning() {
    let (_playground, lines) = Playground::start_as(&["--listen", "0.0.0.0:0"], "password");
    lines.wait_for_text(TIMEOUT, |line| line.starts_with("warning: the playground listens at 0.0.0.0"));

    let (_playground, lines) = Playground::start_as(&["--listen", "127.0.0.1:0"], "password");
    assert!(!lines.all().iter().any(|line| line.starts_with("warning: ")), "{:?}", lines.all());
}
