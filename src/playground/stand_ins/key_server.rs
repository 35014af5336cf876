//! A server of keys that does what it is told: it serves, and it rotates, lies,
//! hangs and goes down. It counts what it is asked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A server on a port of the system's choice. It ends with the process.
#[derive(Clone)]
pub struct KeyServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers a path with a text, and others with 404.
    Serve(Vec<(String, String)>),
    /// Answers everything with this status and text.
    Answer(u16, String),
    /// Leads elsewhere.
    Redirect(String),
    /// Takes the request, and says nothing for so long.
    Hang(Duration),
    /// Answers without an end.
    Endless,
    /// Closes the connection at once.
    Down,
}

struct State {
    behaviour: Behaviour,
    asked: Vec<String>,
}

/// The longest request that is read, in bytes.
const MOST_BYTES: usize = 16 * 1024;

impl KeyServer {
    /// Starts one.
    pub fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = Arc::new(Mutex::new(State { behaviour, asked: Vec::new() }));
        let server = Self { address: listener.local_addr()?, state };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // one that hangs must not keep the next one waiting
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        Ok(server)
    }

    /// Its origin, such as `http://127.0.0.1:8081`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it does this.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// The paths it was asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that goes away in the midst is nobody's mistake.
    fn answer(&self, mut stream: TcpStream) {
        let Ok(request) = read_request(&mut stream) else { return };
        if !request.names(self.address) {
            let _ = write(&mut stream, 421, "", "");
            return;
        }
        let path = request.path;
        let behaviour = {
            let mut state = self.state();
            state.asked.push(path.clone());
            state.behaviour.clone()
        };
        let _ = match behaviour {
            Behaviour::Serve(pages) => match pages.iter().find(|(own, _)| *own == path) {
                Some((_, text)) => write(&mut stream, 200, "", text),
                None => write(&mut stream, 404, "", ""),
            },
            Behaviour::Answer(status, text) => write(&mut stream, status, "", &text),
            Behaviour::Redirect(to) => write(&mut stream, 302, &format!("Location: {to}\r\n"), ""),
            Behaviour::Hang(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            Behaviour::Endless => write_without_end(&mut stream),
            Behaviour::Down => Ok(()),
        };
    }
}

/// A request, as far as it matters.
struct Request {
    method: String,
    path: String,
    /// The values of its `Host` fields.
    hosts: Vec<String>,
}

impl Request {
    /// Whether it was made to this address, by its number or as `localhost`: a
    /// page from elsewhere whose name resolves to this machine has another name.
    /// CONNECT names another server, and no page can send it.
    fn names(&self, address: SocketAddr) -> bool {
        if self.method == "CONNECT" {
            return true;
        }
        let [host] = self.hosts.as_slice() else { return false };
        *host == address.to_string() || *host == format!("localhost:{}", address.port())
    }
}

/// A request, read up to the end of its headers.
fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MOST_BYTES {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend(part.iter().take(count));
    }
    let request = String::from_utf8_lossy(&request);
    let fields = request.lines().skip(1).filter_map(|line| line.split_once(':'));
    let hosts = fields.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let mut words = request.split(' ').map(str::to_owned);
    Ok(Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        hosts: hosts.map(|(_, host)| host.trim().to_owned()).collect(),
    })
}

fn write(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Of course\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn write_without_end(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 Of course\r\n\r\n{\"keys\":[")?;
    loop {
        stream.write_all(&[b' '; 4096])?;
    }
}
