//! Services with the API for links, and requests to it like those of an app's server.

use std::io::{Read, Write};
use std::sync::Barrier;

use serde_json::{Value, json};

use super::api::{create_token, settings};
use super::store::{Engine, TestStore};
use super::{App, Connection, Field, Response, Settings};

/// Services that share a store, and a token with the scope `links:create`.
pub struct LinkService {
    pub app: App,
    pub others: Vec<App>,
    pub token: String,
    pub store: TestStore,
}

impl LinkService {
    /// Starts one service, on SQLite.
    pub fn start() -> Self {
        Self::start_with(Engine::Sqlite, 1, |settings| settings)
    }

    /// Starts several services, with changed settings.
    pub fn start_with(engine: Engine, count: usize, change: impl Fn(Settings) -> Settings) -> Self {
        let store = TestStore::new(engine);
        let settings = change(settings(&store));
        let token = create_token(&settings.file(), "shop", &["links:create"]);
        let mut apps = (0..count).map(|_| App::start(settings.clone()));
        Self { app: apps.next().unwrap(), others: apps.collect(), token, store }
    }

    /// Requests an address.
    pub fn post(&self, body: &Value) -> Response {
        let authorization = format!("Bearer {}", self.token);
        post(&self.app, &body.to_string(), &[("Authorization", &authorization), JSON])
    }

    /// The path of a single-use address for Alice.
    pub fn path(&self) -> String {
        let response = self.post(&json!({"user": {"email": "alice@example.com"}}));
        assert_eq!(response.status, 201, "{response:?}");
        let url = response.json()["url"].as_str().unwrap().to_owned();
        url.strip_prefix("https://app.example.com").unwrap().to_owned()
    }
}

/// Requests each address on all connections at the same time. Returns the statuses by connection; 0
/// for a request without a response.
pub fn race<S: Read + Write + Send>(
    connections: &mut [Connection<S>],
    paths: &[String],
    headers: &[Field<'_>],
) -> Vec<Vec<u16>> {
    let start = Barrier::new(connections.len());
    std::thread::scope(|scope| {
        let racers: Vec<_> = connections
            .iter_mut()
            .map(|connection| {
                let start = &start;
                let open = move |path: &String| {
                    start.wait();
                    connection.request("GET", path, headers).map_or(0, |response| response.status)
                };
                scope.spawn(move || paths.iter().map(open).collect())
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

/// The media type of a body.
pub const JSON: Field<'static> = ("Content-Type", "application/json");

/// Posts a body to `/v1/links`.
pub fn post(app: &App, body: &str, headers: &[Field<'_>]) -> Response {
    post_over(&mut Connection::open(app.address()).unwrap(), body, headers)
}

/// Posts a body to `/v1/links` on an open connection.
pub fn post_over<S: Read + Write>(
    connection: &mut Connection<S>,
    body: &str,
    headers: &[Field<'_>],
) -> Response {
    let length = body.len().to_string();
    let headers = [headers, &[("Content-Length", length.as_str())]].concat();
    let mut bytes = super::wire::request_bytes("POST", "/v1/links", &headers);
    bytes.extend(body.as_bytes());
    connection.write(&bytes).unwrap();
    connection.read("POST").unwrap()
}
