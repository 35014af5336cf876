//! A real nginx, with whatever stands in its `http` block.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::lines::Lines;
use super::{Answer, Connection, Field, PATIENCE, signal, wait};

/// A running nginx. It ends when it goes out of scope.
pub struct Nginx {
    child: Child,
    lines: Arc<Lines>,
    folder: TempDir,
}

impl Nginx {
    /// Starts one in a folder of its own; what stands in its `http` block
    /// listens at `unix:FOLDER/front.sock`.
    pub fn start(folder: TempDir, http: &str) -> Self {
        let place = folder.path().to_str().unwrap().to_owned();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let conf = format!(
            "user root;\npid {place}/nginx.pid;\nworker_processes 1;\nerror_log stderr warn;\n\
             events {{ worker_connections 64; }}\n\
             http {{\naccess_log off;\n{temporary}{http}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let mut child = Command::new("nginx")
            .args(["-p", &place, "-e", "stderr", "-g", "daemon off;", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nginx is needed: make tools");
        let lines = Arc::new(Lines::default());
        lines.gather(child.stderr.take().unwrap());
        Self { child, lines, folder }.wait_until_it_listens()
    }

    fn wait_until_it_listens(mut self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.folder.path().join("front.sock")).is_err() {
            let ended = self.child.try_wait().unwrap();
            let in_time = Instant::now() < deadline && ended.is_none();
            assert!(in_time, "nginx does not listen: {}", self.lines.all().join("\n"));
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }

    /// Asks with GET.
    pub fn get(&self, target: &str, headers: &[Field<'_>]) -> Answer {
        self.ask("GET", target, headers)
    }

    /// Asks on a connection of its own.
    pub fn ask(&self, method: &str, target: &str, headers: &[Field<'_>]) -> Answer {
        let stream = UnixStream::connect(self.folder.path().join("front.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection::over(stream).ask(method, target, headers).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // not a kill: its workers would stay
        signal(self.child.id(), "TERM");
        wait(&mut self.child);
    }
}
