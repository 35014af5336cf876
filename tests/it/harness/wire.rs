//! HTTP/1.1 byte for byte: requests are sent unchanged, responses are split and
//! not interpreted.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::TIMEOUT;

/// A header field: its name and its value.
pub type Field<'a> = (&'a str, &'a str);

/// A response as received.
#[derive(Clone, Debug)]
pub struct Response {
    /// The request line and headers, for the messages of failed assertions.
    #[expect(dead_code, reason = "for Debug alone")]
    pub request: String,
    pub status: u16,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A connection for one or more requests.
pub struct Connection<S: Read + Write = TcpStream> {
    stream: BufReader<S>,
}

impl Connection {
    /// Connects, with timeouts.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: Read + Write> Connection<S> {
    /// A connection over any stream.
    pub fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one response to a request with this method.
    pub fn read(&mut self, method: &str) -> io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other("no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { request: String::new(), status, headers, body: Vec::new() };
        if method != "HEAD" && !matches!(status, 100..=199 | 204 | 304) {
            self.body(&mut response)?;
        }
        Ok(response)
    }

    /// Whether the peer has closed the connection and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    /// Sends a request and reads its response.
    pub fn request(&mut self, method: &str, target: &str, headers: &[Field<'_>]) -> io::Result<Response> {
        self.write(&request_bytes(method, target, headers))?;
        let request = format!("{method} {target} {headers:?}");
        Ok(Response { request, ..self.read(method)? })
    }

    fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.all("transfer-encoding").contains(&"chunked") {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                let start = response.body.len();
                response.body.resize(start + size, 0);
                self.stream.read_exact(&mut response.body[start..])?;
                self.line()?;
                if size == 0 {
                    return Ok(());
                }
            }
        }
        match response.all("content-length").first().map(|length| length.parse()) {
            Some(Ok(length)) => {
                response.body = vec![0; length];
                self.stream.read_exact(&mut response.body)
            }
            Some(Err(_)) => Err(io::Error::other("no length")),
            None => self.stream.read_to_end(&mut response.body).map(drop),
        }
    }

    /// A line without CRLF; an error if the connection ends before it.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

impl Response {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> &str {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0]
    }

    /// Whether there is such a header.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body of a page, with escaped slashes decoded.
    pub fn page(&self) -> String {
        self.text().replace("&#x2f;", "/")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Asserts a problem document with this status and reason, and no token.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.reason().as_str()), (status, reason), "{self:?}");
        self.assert_no_token();
        assert_eq!(self.header("content-type"), "application/problem+json");
    }

    /// The reason of a problem document, or an empty text.
    pub fn reason(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts that the response has no token and no redirect.
    #[track_caller]
    pub fn assert_no_token(&self) {
        let received = format!("{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        assert!(!self.has("location") && !has_jws(&received), "{self:?}");
    }
}

/// Whether a text has the beginning of a JWS, a base64url header and a period. The letters `eyJ` alone
/// can be a part of a nonce.
pub fn has_jws(text: &str) -> bool {
    let is_base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices("eyJ").any(|(at, _)| text[at..].trim_start_matches(is_base64url).starts_with('.'))
}

/// A request as bytes.
pub fn request_bytes(method: &str, target: &str, headers: &[Field<'_>]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: app.example.com\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Sends a request on a new connection.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[Field<'_>],
) -> io::Result<Response> {
    Connection::open(address)?.request(method, target, headers)
}

/// Sends these bytes on a new connection and reads one response.
pub fn send(address: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let mut connection = Connection::open(address)?;
    connection.write(bytes)?;
    connection.read("GET")
}

#[test]
fn a_jws_is_found_and_a_nonce_is_not() {
    assert!(has_jws("?tenant=eyJhbGciOiJIUzI1NiJ9.eyJ1.c2ln") && has_jws("eyJ eyJh_-.e30."));
    assert!(!has_jws("'nonce-aeyJhbGciOiJIUzI1NiJ9'") && !has_jws("a.eyJ a.b"));
}
