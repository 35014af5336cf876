//! A key server with configurable behaviour, which records the paths of its
//! requests.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A server on a port that the system chooses. It runs until the process ends.
#[derive(Clone)]
pub struct KeyServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// How the server handles requests.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Responds with the text for the path, or 404.
    Serve(Vec<(String, String)>),
    /// Responds to every request with this status and body.
    Respond(u16, String),
    /// Redirects to this URL.
    Redirect(String),
    /// Waits this long, then closes the connection without a response.
    Hang(Duration),
    /// Sends a response body that does not end.
    Endless,
    /// Closes the connection without a response.
    Down,
}

struct State {
    behaviour: Behaviour,
    requested_paths: Vec<String>,
}

/// The maximum size of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

impl KeyServer {
    /// Binds a port and starts to serve.
    pub fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = Arc::new(Mutex::new(State { behaviour, requested_paths: Vec::new() }));
        let server = Self { address: listener.local_addr()?, state };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // a request that hangs must not delay the next one
                std::thread::spawn(move || serving.respond(stream));
            }
        });
        Ok(server)
    }

    /// Its origin, such as `http://127.0.0.1:8081`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the behaviour of later requests.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// The paths of all requests so far.
    pub fn requested_paths(&self) -> Vec<String> {
        self.state().requested_paths.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles a connection. Errors are ignored: the client may disconnect at any time.
    fn respond(&self, mut stream: TcpStream) {
        let Ok(request) = read_request(&mut stream) else { return };
        if !request.is_for(self.address) {
            let _ = write(&mut stream, 421, "", "");
            return;
        }
        let path = request.path;
        let behaviour = {
            let mut state = self.state();
            state.requested_paths.push(path.clone());
            state.behaviour.clone()
        };
        let _ = match behaviour {
            Behaviour::Serve(pages) => match pages.iter().find(|(served, _)| *served == path) {
                Some((_, body)) => write(&mut stream, 200, "", body),
                None => write(&mut stream, 404, "", ""),
            },
            Behaviour::Respond(status, text) => write(&mut stream, status, "", &text),
            Behaviour::Redirect(to) => write(&mut stream, 302, &format!("Location: {to}\r\n"), ""),
            Behaviour::Hang(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            Behaviour::Endless => write_endlessly(&mut stream),
            Behaviour::Down => Ok(()),
        };
    }
}

/// The parts of a request that are used.
struct Request {
    method: String,
    path: String,
    /// The values of its `Host` fields.
    hosts: Vec<String>,
}

impl Request {
    /// Whether `Host` is this address or `localhost`, which prevents DNS
    /// rebinding. A CONNECT request names another server, and pages cannot send it.
    fn is_for(&self, address: SocketAddr) -> bool {
        if self.method == "CONNECT" {
            return true;
        }
        let [host] = self.hosts.as_slice() else { return false };
        *host == address.to_string() || *host == format!("localhost:{}", address.port())
    }
}

/// Reads a request up to the end of its header section.
fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend(part.iter().take(count));
    }
    let request = String::from_utf8_lossy(&request);
    let fields = request.lines().skip(1).filter_map(|line| line.split_once(':'));
    let hosts = fields.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let mut parts = request.split(' ').map(str::to_owned);
    Ok(Request {
        method: parts.next().unwrap_or_default(),
        path: parts.next().unwrap_or_default(),
        hosts: hosts.map(|(_, host)| host.trim().to_owned()).collect(),
    })
}

fn write(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Stand-in\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn write_endlessly(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 Stand-in\r\n\r\n{\"keys\":[")?;
    loop {
        stream.write_all(&[b' '; 4096])?;
    }
}
