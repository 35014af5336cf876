//! The playground with a stand-in mStudio: it installs, changes and removes instances of the
//! extension by webhooks, opens the extension, and asks for access tokens.

use serde_json::{Value, json};
use url::Url;

use crate::harness::{Field, Response, wire};
use crate::playground::Playground;

const FRAME: [Field<'static>; 4] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-site"),
];

/// The playground.
struct Mstudio(Playground);

impl Mstudio {
    fn start() -> Self {
        Self(Playground::start_with(&["--as", "mittwald"], "Ctrl-C"))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.0.request("POST", path, &[], &body.to_string());
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// Performs the action of a button. Returns the status of the response to its webhook.
    fn change(&self, what: &str, instance: Option<&Value>) -> Value {
        self.post("/mstudio/change", &json!({"do": what, "instance": instance}))["status"].clone()
    }

    /// The instances that the service knows.
    fn known(&self) -> Vec<Value> {
        self.0.get("/mstudio", &[]).json()["known"]["instances"].as_array().unwrap().clone()
    }

    /// Installs the extension. Returns the id of the instance.
    fn install(&self) -> Value {
        assert_eq!(self.change("install", None), 204);
        self.0.get("/mstudio", &[]).json()["instances"][0]["id"].clone()
    }

    /// The URL of the extension's frame for Ada.
    fn url(&self, instance: &Value) -> Url {
        let opened = self.post("/mstudio/open", &json!({"instance": instance, "person": "usr-201"}));
        Url::parse(opened["url"].as_str().unwrap()).unwrap()
    }

    /// Opens a URL in a frame of the page.
    fn frame(&self, url: &Url) -> Response {
        let host = url.socket_addrs(|| None).unwrap()[0].to_string();
        let own = [("Host", host.as_str()), ("Referer", self.0.origin.as_str())];
        let headers = [own.as_slice(), FRAME.as_slice()].concat();
        wire::request(host.parse().unwrap(), "GET", &url[url::Position::BeforePath..], &headers).unwrap()
    }

    /// Opens the extension of an instance.
    fn opened(&self, instance: &Value) -> u16 {
        self.frame(&self.url(instance)).status
    }

    fn token_status(&self, instance: &Value) -> Value {
        self.post("/mstudio/access-token", &json!({"instance": instance}))["status"].clone()
    }
}

#[test]
fn a_user_opens_the_extension() {
    let mstudio = Mstudio::start();
    let url = mstudio.url(&mstudio.install());
    let handed_off = mstudio.frame(&url);
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    let shown = mstudio.frame(&Url::parse(handed_off.header("location")).unwrap()).page();
    for part in ["Signed on as Ada Winter", ">Free</span></p>", "0 of 2 installs used", "signature verified"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // the key was used already
    assert_eq!(mstudio.frame(&url).status, 401);
}

#[test]
fn the_service_follows_every_change_of_an_instance() {
    let mstudio = Mstudio::start();
    let id = mstudio.install();
    assert_eq!(mstudio.token_status(&id), 200);
    assert_eq!(mstudio.change("update", Some(&id)), 204);
    assert_eq!(mstudio.known()[0]["variant"], "max");
    assert_eq!(mstudio.change("toggle", Some(&id)), 204);
    assert_eq!((mstudio.token_status(&id), mstudio.opened(&id)), (json!(403), 403));
    assert_eq!(mstudio.change("toggle", Some(&id)), 204);
    assert_eq!(mstudio.change("rotate", Some(&id)), 204);
    assert_eq!(mstudio.token_status(&id), 200);
    assert_eq!(mstudio.change("forge", Some(&id)), 401);
    assert_eq!(mstudio.known().len(), 1);
    assert_eq!(mstudio.change("remove", Some(&id)), 204);
    assert!(mstudio.known().is_empty());
    assert_eq!((mstudio.token_status(&id), mstudio.opened(&id)), (json!(404), 403));
}

#[test]
fn the_mstudio_page_hides_secrets_and_rejects_other_sites() {
    let mut mstudio = Mstudio::start();
    let response = mstudio.0.get("/", &[]);
    let policy = response.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = response.page();
    for name in ["shared_secret", "encryption_key"] {
        assert!(page.contains(&format!("{name} = &quot;[hidden]&quot;")), "{name}: {page}");
    }
    let host = mstudio.0.origin.strip_prefix("http://").unwrap();
    let foreign = [("Host", host), ("Origin", "https://evil.example"), ("Content-Type", "application/json")];
    for path in ["/mstudio/change", "/mstudio/open", "/mstudio/access-token"] {
        let id = "018f2c4e-0000-7000-8000-000000000001";
        let body = json!({"do": "install", "instance": id, "person": "usr-201"}).to_string();
        let body = if path.ends_with("change") { json!({"do": "install"}).to_string() } else { body };
        let length = body.len().to_string();
        let headers = [foreign.as_slice(), &[("Content-Length", &length)]].concat();
        let request = [wire::request_bytes("POST", path, &headers), body.into_bytes()].concat();
        assert_eq!(wire::send(host.parse().unwrap(), &request).unwrap().status, 403, "{path}");
    }
    assert!(mstudio.known().is_empty());
    mstudio.0.interrupt();
}
