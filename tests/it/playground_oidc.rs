//! The playground with a stand-in OpenID provider: the service signs users in, the provider
//! ends their sessions, fails, and rotates its keys.

use std::collections::BTreeMap;

use serde_json::json;
use url::{Url, form_urlencoded};

use crate::harness::{Connection, Field, Response, wire};
use crate::playground::Playground;

const WINDOW: [Field<'static>; 3] =
    [("Accept", "text/html"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];

const ADA: &str = "usr-201";
const BEN: &str = "usr-318";
/// A user in a group without access.
const DORA: &str = "usr-512";

/// The playground, and the cookies of a browser.
struct Session {
    playground: Playground,
    service: Url,
    cookies: BTreeMap<String, String>,
}

impl Session {
    fn start() -> Self {
        let playground = Playground::start_with(&["--as", "oidc"], "Ctrl-C");
        let page = playground.get("/", &[]).page();
        let (_, rest) = page.split_once("data-logout-url=\"").unwrap();
        let service = Url::parse(rest.split('"').next().unwrap()).unwrap();
        Self { playground, service, cookies: BTreeMap::new() }
    }

    /// Navigates a window of the browser to a URL.
    fn open(&mut self, url: &Url) -> Response {
        let host = url.socket_addrs(|| None).unwrap()[0].to_string();
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = [&[("Host", host.as_str())], WINDOW.as_slice()].concat();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let target = &url[url::Position::BeforePath..];
        let response = wire::request(host.parse().unwrap(), "GET", target, &headers).unwrap();
        for cookie in response.all("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    fn open_marketplace(&mut self) -> Response {
        let entrance = self.service.join("/pandium-sso").unwrap();
        self.open(&entrance)
    }

    /// Signs Ada in, and returns the service's response to the callback.
    fn sign_in(&mut self) -> Response {
        self.sign_in_as(ADA)
    }

    fn sign_in_as(&mut self, person: &str) -> Response {
        let login = self.service.join("login").unwrap();
        let begun = self.open(&login);
        assert_eq!(begun.status, 303, "{begun:?}");
        let provider = location(&begun);
        assert!(self.open(&provider).page().contains("Ada Winter"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("request", provider.query().unwrap()).append_pair("user", person);
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let signed_in = post(&provider, &kind, &form.finish());
        self.open(&location(&signed_in))
    }

    /// Performs the action of one of the page's buttons.
    fn change(&self, what: &str) -> Response {
        self.playground.request("POST", "/provider", &[], &json!({"do": what}).to_string())
    }
}

fn location(response: &Response) -> Url {
    Url::parse(response.header("location")).unwrap_or_else(|_| panic!("{response:?}"))
}

fn post(url: &Url, headers: &[Field<'_>], body: &str) -> Response {
    let host = url.socket_addrs(|| None).unwrap()[0].to_string();
    let length = body.len().to_string();
    let headers = [&[("Host", host.as_str()), ("Content-Length", &length)], headers].concat();
    let request = wire::request_bytes("POST", &url[url::Position::BeforePath..], &headers);
    let mut connection = Connection::open(host.parse().unwrap()).unwrap();
    connection.write(&[&request, body.as_bytes()].concat()).unwrap();
    connection.read("POST").unwrap()
}

#[test]
fn a_user_signs_in_at_the_provider() {
    let mut session = Session::start();
    assert_eq!(session.open_marketplace().status, 401);
    assert_eq!(session.sign_in().status, 303);
    let handed_off = session.open_marketplace();
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    let shown = session.open(&location(&handed_off)).page();
    assert!(shown.contains("Signed on as Ada Winter") && shown.contains("signature verified"), "{shown}");
    session.playground.interrupt();
}

#[test]
fn the_plan_of_the_provider_is_that_of_the_marketplace() {
    let mut session = Session::start();
    session.sign_in_as(BEN);
    let handed_off = session.open_marketplace();
    let shown = session.open(&location(&handed_off)).page();
    assert!(shown.contains("0 of 5 installs used") && shown.contains(">Pro</span></p>"), "{shown}");
}

#[test]
fn a_user_of_another_group_has_no_access() {
    let mut session = Session::start();
    assert_eq!(session.sign_in_as(DORA).status, 303);
    let refused = session.open_marketplace();
    assert!(refused.status == 403 && refused.page().contains("not_allowed"), "{refused:?}");
}

#[test]
fn the_provider_ends_the_session() {
    let mut session = Session::start();
    session.sign_in();
    assert_eq!(session.change("end").json(), json!({"logout_tokens": [200]}));
    assert_eq!(session.open_marketplace().status, 401);
    assert_eq!(session.change("end").json(), json!({"logout_tokens": []}));
}

#[test]
fn a_provider_that_is_down_ends_no_session() {
    let mut session = Session::start();
    session.sign_in();
    assert_eq!(session.change("down").status, 200);
    assert_eq!(session.open_marketplace().status, 307);
    let refused = session.sign_in();
    assert!(refused.status == 503 && refused.page().contains("upstream_unavailable"), "{refused:?}");
    assert_eq!(session.change("up").status, 200);
    assert_eq!(session.sign_in().status, 303);
}

#[test]
fn rotated_keys_are_accepted_immediately() {
    let mut session = Session::start();
    assert_eq!(session.change("rotate").status, 200);
    assert_eq!(session.sign_in().status, 303);
}

#[test]
fn the_page_hides_secrets_and_other_sites_change_nothing() {
    let session = Session::start();
    let response = session.playground.get("/", &[]);
    let policy = response.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = response.page();
    for name in ["shared_secret", "client_secret", "key"] {
        assert!(page.contains(&format!("{name} = &quot;[hidden]&quot;")), "{name}: {page}");
    }
    let provider = Url::parse(&format!("{}/provider", session.playground.origin)).unwrap();
    let foreign = [("Origin", "https://evil.example"), ("Content-Type", "application/json")];
    assert_eq!(post(&provider, &foreign, &json!({"do": "down"}).to_string()).status, 403);
}
