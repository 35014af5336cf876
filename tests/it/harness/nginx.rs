//! A real nginx with a given `http` block.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::lines::OutputLines;
use super::{Connection, Field, Response, TIMEOUT, signal, wait};

/// A running nginx, stopped when it goes out of scope.
pub struct Nginx {
    child: Child,
    lines: Arc<OutputLines>,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx in this folder. The `http` block has to listen at
    /// `unix:FOLDER/front.sock`.
    pub fn start(folder: TempDir, http: &str) -> Self {
        let dir = folder.path().to_str().unwrap().to_owned();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {dir}/{kind};\n"))
            .concat();
        let conf = format!(
            "user root;\npid {dir}/nginx.pid;\nworker_processes 1;\nerror_log stderr warn;\n\
             events {{ worker_connections 256; }}\n\
             http {{\naccess_log off;\n{temporary}{http}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-p", &dir, "-e", "stderr", "-g", "daemon off;", "-c"]).arg(&file);
        let (child, lines) = OutputLines::spawn(&mut nginx);
        Self { child, lines, folder }.wait_until_it_listens()
    }

    fn wait_until_it_listens(mut self) -> Self {
        let deadline = Instant::now() + TIMEOUT;
        while UnixStream::connect(self.folder.path().join("front.sock")).is_err() {
            let ended = self.child.try_wait().unwrap();
            let in_time = Instant::now() < deadline && ended.is_none();
            assert!(in_time, "nginx does not listen: {}", self.lines.all().join("\n"));
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }

    /// Sends a GET request.
    pub fn get(&self, target: &str, headers: &[Field<'_>]) -> Response {
        self.request("GET", target, headers)
    }

    /// Sends a request on a new connection.
    pub fn request(&self, method: &str, target: &str, headers: &[Field<'_>]) -> Response {
        self.connect().request(method, target, headers).unwrap()
    }

    /// Opens a connection.
    pub fn connect(&self) -> Connection<UnixStream> {
        let stream = UnixStream::connect(self.folder.path().join("front.sock")).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Connection::over(stream)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would not end its workers
        signal(self.child.id(), "TERM");
        wait(&mut self.child);
    }
}
