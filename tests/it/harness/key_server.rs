//! Stand-in key servers, and what the service reports about its key fetches.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

pub use marketplace_sso::playground::stand_ins::{Behaviour, KeyServer};
use serde_json::Value;

use super::issuer::jwks;
pub use super::wait_until;
use super::{App, Settings};

/// A server that publishes these keys at `/keys`.
pub fn serve_keys(keys: &[Value]) -> KeyServer {
    KeyServer::start(keys_response(keys)).unwrap()
}

/// Serves these keys at `/keys`.
pub fn keys_response(keys: &[Value]) -> Behaviour {
    serving(&[("/keys", &jwks(keys))])
}

/// Serves these paths and no others.
pub fn serving(pages: &[(&str, &str)]) -> Behaviour {
    Behaviour::Serve(pages.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

/// Settings for ES256 tokens, with the keys at `/keys` of an origin.
pub fn fetching(origin: &str) -> Settings {
    Settings::bearer().jwks_url(&format!("{origin}/keys"))
}

/// How many times a fetch that fails may have been repeated since then: once every 5 s.
pub fn repetitions_since(started: Instant) -> usize {
    usize::try_from(started.elapsed().as_secs() / 5).unwrap()
}

impl App {
    /// Starts a service and waits until it has tried to fetch its keys.
    pub fn start_ready(settings: Settings) -> Self {
        let app = Self::start(settings);
        app.wait_until_ready();
        app
    }

    /// Waits until `/readyz` succeeds.
    pub fn wait_until_ready(&self) {
        wait_until("ready", || self.get("/readyz", &[]).status == 200);
    }

    /// The entrances without keys, as `/readyz` lists them once the first fetches
    /// have ended.
    pub fn entrances_without_keys(&self) -> Vec<String> {
        self.wait_until_ready();
        let ready = self.get("/readyz", &[]);
        assert_eq!(ready.status, 200, "{ready:?}");
        let names = ready.json()["entrances_without_keys"].as_array().cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// The number of key fetches from a URL with this result.
    pub fn fetches(&self, url: &str, result: &str) -> u64 {
        let labels = [("url", url), ("result", result)];
        format!("{:.0}", self.metric("marketplace_sso_jwks_fetches_total", &labels)).parse().unwrap()
    }

    /// The age of the fetched keys in seconds, if there is exactly one key set.
    pub fn key_age(&self) -> Option<u64> {
        let text = self.admin("/metrics").text();
        let series = "marketplace_sso_jwks_age_seconds{";
        let line = text.lines().find(|line| line.starts_with(series))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Waits until the cooldown of one second since the latest key fetch is over.
    pub fn wait_for_cooldown(&self) {
        wait_until("the keys are a second old", || self.key_age().is_some_and(|age| age >= 1));
    }
}

/// A server that accepts requests immediately, and delays its responses until it is opened.
pub struct GatedServer {
    origin: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    pages: Vec<(String, String)>,
    requested_paths: Vec<String>,
    is_open: bool,
}

impl GatedServer {
    /// Starts a server for these paths; a text such as `Location: /there` is a redirect.
    pub fn start(pages: &[(&str, &str)], is_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = State { pages: Vec::new(), requested_paths: Vec::new(), is_open };
        let gate = Self { origin, state: Arc::new((Mutex::new(state), Condvar::new())) };
        gate.serve(pages);
        let state = Arc::clone(&gate.state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || respond(&state, stream));
            }
        });
        gate
    }

    /// Its origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Serves these paths from now on.
    pub fn serve(&self, pages: &[(&str, &str)]) {
        let pages = pages.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        self.state.0.lock().unwrap().pages = pages.collect();
    }

    /// The paths requested so far, with or without a response.
    pub fn requested_paths(&self) -> Vec<String> {
        self.state.0.lock().unwrap().requested_paths.clone()
    }

    /// Waits until this many requests were received.
    pub fn wait_until_requested(&self, times: usize) {
        wait_until(&format!("{times} requests"), || self.requested_paths().len() >= times);
    }

    /// Delays responses from now on.
    pub fn close(&self) {
        self.state.0.lock().unwrap().is_open = false;
    }

    /// Sends all delayed responses, and later ones immediately.
    pub fn open(&self) {
        self.state.0.lock().unwrap().is_open = true;
        self.state.1.notify_all();
    }
}

fn respond(state: &(Mutex<State>, Condvar), mut stream: TcpStream) {
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&part[..count]),
        }
    }
    let path = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned();
    let (state, opened) = state;
    let mut state = state.lock().unwrap();
    state.requested_paths.push(path.clone());
    let state = opened.wait_while(state, |state| !state.is_open).unwrap();
    let page = state.pages.iter().find(|(own, _)| *own == path).map(|(_, text)| text.clone());
    drop(state);
    let (status, more, text) = match page {
        None => (404, String::new(), String::new()),
        Some(text) if text.starts_with("Location: ") => (302, text + "\r\n", String::new()),
        Some(text) => (200, String::new(), text),
    };
    let length = text.len();
    let head = format!("HTTP/1.1 {status} OK\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // the client may have disconnected
    let _ = stream.write_all((head + &text).as_bytes());
}
