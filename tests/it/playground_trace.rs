//! What the playground's page shows about a request, and the actions of its buttons.

use rstest::rstest;
use serde_json::{Value, json};

use url::Url;

use crate::harness::{Field, Response, wire};
use crate::playground::{FRAME, Playground, follow_in_frame};

const BEN: &str = "usr-318";

/// A playground and the cookie of a user who signed in.
struct SignedIn {
    playground: Playground,
    cookie: String,
}

impl SignedIn {
    fn start() -> Self {
        let playground = Playground::start();
        let cookie = playground.sign_in(BEN);
        Self { playground, cookie }
    }

    fn get(&self, path: &str, headers: &[Field<'_>]) -> Response {
        self.playground.get(path, &[headers, &[("Cookie", self.cookie.as_str())]].concat())
    }

    fn post(&self, path: &str, body: &Value) -> Response {
        self.playground.request("POST", path, &[("Cookie", &self.cookie)], &body.to_string())
    }

    /// Opens the marketplace in the frame.
    fn open(&self) -> Response {
        follow_in_frame(&self.get("/pandium-sso", &FRAME))
    }

    /// The latest story, as soon as `is_complete` holds for it.
    fn story(&self, is_complete: impl Fn(&Value) -> bool) -> Value {
        let mut after = 0;
        loop {
            let changes = self.get(&format!("/playground/trace?after={after}"), &[]).json();
            if let Some(story) =
                changes["stories"].as_array().unwrap().last().filter(|story| is_complete(story))
            {
                return story.clone();
            }
            // the next response is sent after the next change
            assert_ne!(changes["version"], after, "nothing has changed: {changes}");
            after = changes["version"].as_u64().unwrap();
        }
    }
}

/// Whether a step's line contains the time in the log line.
fn is_logged(story: &Value) -> bool {
    story["steps"][2]["line"].as_str().unwrap().contains("took ")
}

/// The rows of the tables of a step.
fn rows(step: &Value) -> Vec<Vec<&str>> {
    let sections = step["sections"].as_array().unwrap();
    let rows = sections.iter().flat_map(|section| section["rows"].as_array().unwrap());
    rows.map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect()).collect()
}

#[test]
fn a_hand_off_is_shown_in_four_steps() {
    let app = SignedIn::start();
    assert_eq!(app.open().status, 200);
    let story = app.story(|story| is_logged(story) && story["steps"][3]["badge"] == "200");
    let steps = story["steps"].as_array().unwrap();
    let parties: Vec<_> = steps.iter().map(|step| step["party"].as_str().unwrap()).collect();
    assert_eq!(parties, ["app", "app", "service", "marketplace"]);
    assert_eq!(steps[0]["line"], "GET /pandium-sso");
    assert_eq!(steps[2]["badge"], "307");
    assert_eq!(story["frame"]["party"], "marketplace");

    let plan = ["X-Auth-Request-Plan", "pro", "identity.headers.attributes.plan"];
    assert!(rows(&steps[1]).contains(&plan.to_vec()), "{}", steps[1]);
    let claims = rows(&steps[2]);
    let tier = claims.iter().find(|row| row[0] == "ti.xti.user_tier").unwrap();
    assert_eq!((tier[1], tier[3]), ("pro", "claims.ti.xti.user_tier = \"attributes.plan\""));
    let text = story.to_string();
    assert!(
        text.contains("handed a user off") && text.contains("shared_secret = \\\"[hidden]\\\""),
        "{text}"
    );
    let (_, session) = app.cookie.split_once('=').unwrap();
    assert!(!text.contains(session), "{text}");
}

#[test]
fn navigations_inside_the_frame_are_shown() {
    let app = SignedIn::start();
    let redirect = app.get("/pandium-sso", &FRAME);
    assert_eq!(follow_in_frame(&redirect).status, 200);
    assert_eq!(follow_in_frame(&redirect).status, 200);
    let story = app.story(|story| story["title"] == "In the frame: the list of integrations");
    assert_eq!(story["steps"][2]["badge"], "307");
    assert_eq!(story["steps"][3]["line"], "the same token again · shows the list of integrations");
}

#[test]
fn a_forged_identity_is_refused() {
    let app = SignedIn::start();
    let forged = [("X-Auth-Request-Email", "carla@mendes-trading.example"), ("Accept", "application/json")];
    assert_eq!(app.get("/pandium-sso", &forged).status, 200);
    let removed = app.story(is_logged);
    assert_eq!(removed["steps"][1]["line"], "10 for Ben Okafor; 1 forged removed");

    let said = app.post("/playground/forge", &json!({}));
    assert!(said.text().contains("403"), "{}", said.text());
    let refused = app.story(|story| is_logged(story) && story["is_refused"] == true);
    assert!(refused["title"].as_str().unwrap().ends_with("403 untrusted_peer"), "{refused}");
    assert_eq!(refused["steps"][3]["outcome"], "skipped");
}

#[test]
fn an_expired_token_is_refused_and_a_new_one_is_not() {
    let app = SignedIn::start();
    assert_eq!(app.post("/playground/expire", &json!({})).status, 409);
    let redirect = app.get("/pandium-sso", &FRAME);
    assert_eq!(follow_in_frame(&redirect).status, 200);
    assert_eq!(app.post("/playground/expire", &json!({})).status, 200);
    let refused = follow_in_frame(&redirect);
    assert!(refused.status == 401 && refused.text().contains("signed 60"), "{}", refused.text());
    assert_eq!(app.open().status, 200);
}

#[test]
fn a_rotation_under_load_fails_no_request() {
    let app = SignedIn::start();
    let said = app.post("/playground/rotate", &json!({}));
    assert!(said.status == 200 && said.text().contains(" 0 failed"), "{}", said.text());
    let story = app.story(|story| story["title"].as_str().unwrap().starts_with("Secret rotated under load"));
    assert_eq!((&story["is_refused"], &story["steps"][2]["badge"]), (&json!(false), &json!("0 failed")));
    assert_eq!(app.open().status, 200);
}

#[test]
fn a_changed_plan_is_in_the_next_token() {
    let app = SignedIn::start();
    assert!(app.open().text().contains("2 of 5 installs used"));
    assert_eq!(app.post("/playground/plan", &json!({"plan": "free"})).status, 200);
    let shown = app.open().text();
    assert!(shown.contains("2 of 2 installs used") && shown.contains(">Upgrade</a>"), "{shown}");
    assert_eq!(app.post("/playground/plan", &json!({"plan": "other"})).status, 400);
}

#[test]
fn an_ended_session_has_no_user_and_no_headers() {
    let app = SignedIn::start();
    app.post("/logout", &json!({}));
    assert_eq!(app.get("/pandium-sso", &FRAME).status, 401);
    let story = app.story(is_logged);
    let titles = [1, 2, 3].map(|step| story["steps"][step]["title"].as_str().unwrap());
    let expected = ["The proxy adds no identity", "marketplace-sso refuses", "The marketplace is not asked"];
    assert_eq!(titles, expected);
    assert_eq!(story["frame"]["party"], "service");
    assert_eq!(app.get("/playground/trace?after=0", &[]).json()["user"], Value::Null);
    for (path, body) in [("plan", json!({"plan": "pro"})), ("expire", json!({})), ("rotate", json!({}))] {
        let said = app.post(&format!("/playground/{path}"), &body);
        assert!(said.status == 401 && said.text().contains("Sign in again"), "{path}: {said:?}");
    }
}

#[rstest]
fn buttons_act_for_the_own_page_only(#[values("plan", "forge", "expire", "rotate")] button: &str) {
    let app = SignedIn::start();
    let (path, body) = (format!("/playground/{button}"), json!({"plan": "enterprise"}).to_string());
    for origin in ["https://evil.example", "null"] {
        let cookie = [("Cookie", app.cookie.as_str())];
        let response = app.playground.request_from(origin, "POST", &path, &cookie, &body);
        assert_eq!(response.status, 403, "{origin}");
    }
}

#[test]
fn the_component_is_served_through_the_proxy() {
    let app = SignedIn::start();
    assert!(app.get("/", &[]).text().contains("<marketplace-frame"));
    for (path, expected) in [
        ("/embed.js", "marketplace-frame"),
        ("/embed.json", "marketplace_origin"),
        ("/embed", "<marketplace-frame"),
    ] {
        let response = app.get(path, &[("Accept", "*/*")]);
        assert!(response.status == 200 && response.text().contains(expected), "{path}: {response:?}");
    }
}

#[test]
fn unknown_addresses_and_pop_ups_have_a_page() {
    let app = SignedIn::start();
    let missing = app.get("/somewhere", &[("Accept", "text/html")]);
    assert!(missing.status == 404 && missing.text().contains("Page not found"), "{missing:?}");
    let url = Url::parse(app.get("/pandium-sso", &FRAME).header("location")).unwrap();
    let marketplace = url.socket_addrs(|| None).unwrap()[0];
    let missing = wire::request(marketplace, "GET", "/a/b/c", &[("Host", &marketplace.to_string())]).unwrap();
    assert!(missing.status == 404 && missing.text().contains("There is no such page"), "{missing:?}");

    let form = format!("user={BEN}&password=playground&then=close");
    let closing = app.playground.request("POST", "/login", &[], &form);
    assert!(closing.status == 200 && closing.text().contains("window.close()"), "{closing:?}");
    assert!(closing.has("set-cookie"));
}
