//! The API of the stand-in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Behaviour;
use super::state::{State, Visit};
use crate::clock::Timestamp;

/// A request.
struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// How often a delayed response looks whether it can be sent.
const HOLD_CHECK: Duration = Duration::from_millis(5);

/// Binds a port, and serves each connection in its own thread.
pub(super) fn start(state: &Arc<Mutex<State>>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            // errors: the client may disconnect at any time
            std::thread::spawn(move || drop(serve(stream, address, &state)));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, address: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    let request = read(&mut stream)?;
    // DNS rebinding: a page whose host name resolves to this address
    if request.field("host") != Some(address.to_string().as_str()) {
        return write(&mut stream, 421, "", "");
    }
    let behaviour = {
        let mut state = lock(state);
        state.requests.push(format!("{} {}", request.method, request.target));
        state.behaviour
    };
    match behaviour {
        Behaviour::Works => {}
        Behaviour::Held => {
            while lock(state).behaviour == Behaviour::Held {
                std::thread::sleep(HOLD_CHECK);
            }
        }
        Behaviour::Slow(time) => std::thread::sleep(time),
        Behaviour::Status(status) => {
            let body = json!({"type": "Error", "message": "a failure that was asked for"}).to_string();
            return write(&mut stream, status, "X-Ratelimit-Reset: 7\r\n", &body);
        }
        Behaviour::WrongTypes => {
            let body = json!({"publicToken": 5, "expiry": true, "key": [], "token": {}, "userId": 1});
            let status = if request.target.ends_with("/tokens") { 201 } else { 200 };
            return write(&mut stream, status, "", &body.to_string());
        }
        Behaviour::Large => {
            let status = if request.target.ends_with("/tokens") { 201 } else { 200 };
            return write(&mut stream, status, "", &" ".repeat(1024 * 1024));
        }
        Behaviour::Redirects => {
            return write(&mut stream, 307, "Location: /v2/elsewhere\r\n", "");
        }
        Behaviour::Down => return Ok(()),
    }
    let (status, body) = respond(&request, &mut lock(state));
    write(&mut stream, status, "", &body.to_string())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn respond(request: &Request, state: &mut State) -> (u16, Value) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["v2", "public-keys", serial]) => public_key(state, serial, query),
        ("POST", ["v2", "extension-instances", id, "tokens"]) => instance_token(state, id, &request.body),
        ("POST", ["v2", "authenticate-token-retrieval-key"]) => user_token(state, &request.body),
        ("GET", ["v2", "users", id]) => user(state, id, request.field("x-access-token")),
        ("GET", ["v2", "extension-instances", id]) => instance(state, id, request.field("x-access-token")),
        _ => error(404, "there is nothing at this path"),
    }
}

fn public_key(state: &State, serial: &str, query: &str) -> (u16, Value) {
    let key = Uuid::try_parse(serial).ok().and_then(|serial| state.keys.get(&serial));
    match key {
        Some(key) if query.contains("format=raw") && query.contains("purpose=") => {
            (200, json!({"serial": serial, "algorithm": "ed25519", "key": STANDARD.encode(key)}))
        }
        Some(_) => error(400, "format and purpose are missing"),
        None => error(404, "there is no such key"),
    }
}

fn instance_token(state: &State, id: &str, body: &[u8]) -> (u16, Value) {
    let sent = member(body, "extensionInstanceSecret");
    let instance = Uuid::try_parse(id).ok().and_then(|id| state.instances.get(&id));
    match instance {
        Some(instance) if instance.enabled && !instance.is_removed && sent == instance.secret => {
            let expires = Timestamp::now().unix_microseconds() + state.token_life_s * 1_000_000;
            let token = format!("mstudio-token-{}", Uuid::new_v4().simple());
            (201, json!({"publicToken": token, "expiry": crate::audit::timestamp(expires)}))
        }
        Some(_) => error(403, "the secret is not valid"),
        None => error(404, "there is no such instance"),
    }
}

fn user_token(state: &mut State, body: &[u8]) -> (u16, Value) {
    let user = Uuid::try_parse(&member(body, "userId")).ok();
    let key = member(body, "accessTokenRetrievalKey");
    match state.retrieval_keys.get(&key).cloned() {
        Some(visit) if user == Some(visit.user.id) => {
            state.retrieval_keys.remove(&key);
            let token = format!("mstudio-user-token-{}", Uuid::new_v4().simple());
            state.user_tokens.insert(token.clone(), visit);
            let expires = crate::audit::timestamp(Timestamp::now().unix_microseconds() + 600_000_000);
            (200, json!({"token": token, "refreshToken": "mstudio-refresh", "expiresAt": expires}))
        }
        Some(_) | None => error(403, "the key is not valid"),
    }
}

fn user(state: &State, id: &str, token: Option<&str>) -> (u16, Value) {
    let Some(Visit { user, .. }) = token.and_then(|token| state.user_tokens.get(token)) else {
        return error(401, "the token is not valid");
    };
    if id != "self" && id != user.id.to_string() {
        return error(403, "another user");
    }
    let person = json!({"firstName": user.first_name, "lastName": user.last_name});
    (200, json!({"userId": user.id, "email": user.email, "person": person}))
}

fn instance(state: &State, id: &str, token: Option<&str>) -> (u16, Value) {
    match token.and_then(|token| state.user_tokens.get(token)) {
        Some(Visit { instance, .. }) if instance.to_string() == id => {
            (200, json!({"id": instance, "extensionId": state.extension_id}))
        }
        Some(_) => error(403, "the user may not see the instance"),
        None => error(401, "the token is not valid"),
    }
}

fn member(body: &[u8], name: &str) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"type": "Error", "message": message}))
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn read(stream: &mut TcpStream) -> io::Result<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut received, mut part) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = received.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
        receive(stream, &mut received, &mut part)?;
    };
    let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut request = Request {
        method: first.next().unwrap_or_default(),
        target: first.next().unwrap_or_default(),
        fields,
        body: Vec::new(),
    };
    let length = request.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while received.len() < end + 4 + length {
        receive(stream, &mut received, &mut part)?;
    }
    request.body = received.split_off(end + 4);
    Ok(request)
}

fn receive(stream: &mut TcpStream, received: &mut Vec<u8>, part: &mut [u8]) -> io::Result<()> {
    let count = stream.read(part)?;
    if count == 0 || received.len() > MAX_REQUEST_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    received.extend(part.iter().take(count));
    Ok(())
}

fn write(stream: &mut TcpStream, status: u16, fields: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Stand-in\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{fields}Connection: close\r\n\r\n{body}",
        body.len()
    )
}
