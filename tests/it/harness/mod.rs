//! Starts the real binary on free ports and collects every line it writes.
//! Assertions are in the tests.

pub mod api;
pub mod clock;
pub mod command;
pub mod issuer;
pub mod journal;
pub mod key_server;
pub mod lines;
pub mod links;
pub mod mittwald;
pub mod nginx;
pub mod own_mounts;
pub mod postgres;
pub mod provider;
pub mod recipe;
pub mod settings;
pub mod sign_in;
pub mod store;
pub mod stored;
pub mod token;
pub mod tree;
pub mod wire;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use lines::OutputLines;
pub use settings::{STANDARD, Settings};
pub use token::Token;
pub use wire::{Connection, Field, Response};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_marketplace-sso");

/// The shared secret of the standard configuration.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The identity header of the standard configuration.
pub const EMAIL: &str = "X-Auth-Request-Email";

/// The identity headers of Alice.
pub const ALICE: &[Field<'static>] = &[(EMAIL, "alice@example.com")];

/// The limit for any wait, generous for a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A running service, killed when it goes out of scope.
pub struct App {
    child: Child,
    lines: Arc<OutputLines>,
    listen: String,
    admin_listen: String,
    /// The folder with the configuration: `standard.toml`, then `sso.toml`.
    pub folder: TempDir,
}

impl App {
    /// Starts a service with the standard settings.
    pub fn standard() -> Self {
        Self::start(Settings::standard())
    }

    /// Starts a service.
    pub fn start(settings: Settings) -> Self {
        Self::start_in(TempDir::new().unwrap(), settings)
    }

    /// Starts a service with its configuration in an existing folder.
    pub fn start_in(folder: TempDir, settings: Settings) -> Self {
        Self::start_program(Command::new(PROGRAM).env_clear(), folder, settings)
    }

    /// Starts a service whose outbound requests use a proxy.
    pub fn start_behind_proxy(proxy: &str, settings: Settings) -> Self {
        let mut program = Command::new(PROGRAM);
        program.env_clear().env("HTTPS_PROXY", proxy);
        Self::start_program(&mut program, TempDir::new().unwrap(), settings)
    }

    /// Starts a service whose wall clock the test sets.
    pub fn start_with_clock(clock: &clock::TestClock, folder: TempDir, settings: Settings) -> Self {
        let mut program = Command::new(PROGRAM);
        program.env_clear().envs(clock.variables());
        Self::start_program(&mut program, folder, settings)
    }

    /// Starts a service with a limit of open files.
    pub fn start_with_open_files(limit: u32, settings: Settings) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\""), PROGRAM]);
        Self::start_program(&mut shell, TempDir::new().unwrap(), settings)
    }

    fn start_program(program: &mut Command, folder: TempDir, settings: Settings) -> Self {
        let (standard, own) = (folder.path().join("standard.toml"), folder.path().join("sso.toml"));
        command::write_private(&standard, &settings.text());
        command::write_private(&own, "");
        program.arg("serve").arg("--config").arg(standard).arg("--config").arg(own);
        Self::spawn(program, folder)
    }

    /// Starts a service with a configuration that is written already, at other addresses.
    pub fn start_written(folder: TempDir, config: &Path) -> Self {
        let mut program = Command::new(PROGRAM);
        program.env_clear().arg("serve").arg("--config").arg(config);
        program.env("SSO_SERVER__LISTEN", "127.0.0.1:0").env("SSO_SERVER__ADMIN_LISTEN", "127.0.0.1:0");
        Self::spawn(&mut program, folder)
    }

    fn spawn(program: &mut Command, folder: TempDir) -> Self {
        let (child, lines) = OutputLines::spawn(program);
        let mut app = Self { child, lines, listen: String::new(), admin_listen: String::new(), folder };
        let line = app.lines.wait_for_text(TIMEOUT, |line| line.contains("listening"));
        app.listen = field_of(&line, "listen");
        app.admin_listen = field_of(&line, "admin_listen");
        app
    }

    /// The address of the public listener.
    pub fn address(&self) -> SocketAddr {
        self.listen.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The address of the admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_listen.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The resident memory of the process without its code, which is several times larger in a debug
    /// build (`RssAnon`).
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The second file of the configuration, merged over the settings of the start.
    /// It is empty at first.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("sso.toml")
    }

    /// Writes the second file and reloads.
    pub fn reconfigure(&self, toml: &str) {
        std::fs::write(self.config_file(), toml).unwrap();
        self.reload();
    }

    /// Reloads by SIGHUP, and waits until the new configuration is in use.
    pub fn reload(&self) {
        self.reload_with("the new configuration is in use");
    }

    /// Reloads by SIGHUP, and waits until the new configuration is refused.
    pub fn reload_refused(&self) {
        self.reload_with("the new configuration is wrong");
    }

    /// Reloads by SIGHUP, and waits for this message. Those of an earlier reload, such as one after
    /// a changed file, do not count.
    fn reload_with(&self, message: &str) {
        let is_begun = |line: &str| line.contains("SIGHUP: reading the configuration again");
        let earlier = self.lines.all().iter().filter(|line| is_begun(line)).count();
        self.signal("HUP");
        let mut begun = 0;
        self.lines.wait_for_text(TIMEOUT, |line| {
            begun += usize::from(is_begun(line));
            begun > earlier && line.contains(message)
        });
    }

    /// Sends a GET request.
    pub fn get(&self, target: &str, headers: &[Field<'_>]) -> Response {
        self.request("GET", target, headers)
    }

    /// Sends a request on a new connection.
    pub fn request(&self, method: &str, target: &str, headers: &[Field<'_>]) -> Response {
        wire::request(self.address(), method, target, headers).unwrap()
    }

    /// Sends a GET request to the admin listener.
    pub fn admin(&self, target: &str) -> Response {
        wire::request(self.admin_address(), "GET", target, &[]).unwrap()
    }

    /// The claims of the token for a user with these headers.
    pub fn claims(&self, headers: &[Field<'_>]) -> serde_json::Map<String, Value> {
        let response = self.get("/pandium-sso", headers);
        assert_eq!(response.status, 307, "{response:?}");
        Token::of(&response).claims
    }

    /// Waits for a JSON line that matches.
    pub fn wait_for_line(&self, matches: impl FnMut(&Value) -> bool) -> Value {
        self.lines.wait_for(TIMEOUT, matches)
    }

    /// All output so far.
    pub fn output(&self) -> String {
        self.lines.all().join("\n")
    }

    /// All JSON lines for the requests served so far: requests an unknown path and
    /// waits for its line.
    pub fn log_lines(&self) -> Vec<Value> {
        let id = self.get("/is-everything-written", &[]).header("x-request-id").to_owned();
        self.lines.wait_for_text(TIMEOUT, |line| line.contains(&id));
        let all = self.lines.json();
        all.into_iter().take_while(|line| line["request_id"] != id.as_str()).collect()
    }

    /// The audit events of the requests served so far.
    pub fn audit_events(&self) -> Vec<Value> {
        self.log_lines().into_iter().filter(|line| line.get("outcome").is_some()).collect()
    }

    /// The one audit event of this response.
    pub fn audit_event_of(&self, response: &Response) -> Value {
        let id = response.header("x-request-id");
        let mut of_it: Vec<Value> =
            self.audit_events().into_iter().filter(|line| line["request_id"] == id).collect();
        assert_eq!(of_it.len(), 1, "{of_it:?}");
        of_it.remove(0)
    }

    /// The value of a metric, 0 if absent; labels in any order.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin("/metrics").text();
        let wanted: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let found = text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, rest) = series.split_once('{').unwrap_or((series, "}"));
            let pairs = rest.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
            let own_labels: BTreeMap<&str, &str> = pairs
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k, v.trim_matches('"')))
                .collect();
            (own == name && own_labels == wanted).then(|| value.parse().unwrap())
        });
        found.unwrap_or(0.0)
    }

    /// Waits until a metric has this value.
    pub fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        wait_until(&format!("{name} is {value}"), || (self.metric(name, labels) - value).abs() < 0.5);
    }

    /// Sends a signal to the process, by its id.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Kills the process, like a crash.
    pub fn kill(&self) {
        let sent = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field of a JSON or text line, empty if absent.
fn field_of(line: &str, name: &str) -> String {
    if let Ok(json) = serde_json::from_str::<Value>(line) {
        return json[name].as_str().unwrap_or_default().to_owned();
    }
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields
        .find(|(own, _)| *own == name)
        .map_or_else(String::new, |(_, value)| value.trim_matches('"').to_owned())
}

/// Sends a signal once the process has a handler for it; before that, the default
/// action would end the process.
pub fn signal(pid: u32, name: &str) {
    let numbers = [("HUP", 1), ("INT", 2), ("TERM", 15)];
    let (_, number) = numbers.into_iter().find(|(own, _)| *own == name).unwrap();
    let deadline = Instant::now() + TIMEOUT;
    while caught_signals(pid) & (1 << (number - 1)) == 0 {
        assert!(Instant::now() < deadline, "{name} has no handler");
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Sets a flag when it goes out of scope, so that the other threads of a scope end even if the test
/// fails.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A free port, for a program that cannot listen on port 0. The system assigns only higher ports by
/// itself (`net.ipv4.ip_local_port_range`), so only a program that chooses this port can take it.
pub fn free_port() -> u16 {
    const PORTS: Range<u32> = 20_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(100);
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + number % (PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The signals that a process handles, one bit each.
fn caught_signals(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// Waits for a process to end by itself, within [`TIMEOUT`].
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the process does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}
