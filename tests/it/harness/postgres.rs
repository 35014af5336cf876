//! A real PostgreSQL server in a temporary folder, which listens only on a Unix socket.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use tempfile::TempDir;
use uuid::Uuid;

use super::command::run_program;

/// A server. It stops when this is dropped, and when the test process ends.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    keeper: Mutex<(Child, Option<ChildStdin>)>,
}

/// Initializes and starts a server, and stops it when standard input ends. `$0`: the
/// programs' folder; `$1`: the server's; the rest: how to run as an ordinary user.
const KEEPER: &str = r#"
set -e
programs=$0 folder=$1; shift
trap '"$@" "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
"$@" "$programs/initdb" -D "$folder/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >/dev/null
cat >>"$folder/data/postgresql.conf" <<END
unix_socket_directories = '$folder'
listen_addresses = ''
max_connections = 200
END
"$@" "$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null
echo ready
read -r end || true
"#;

impl Postgres {
    /// The server that tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server for one test.
    pub fn start() -> Self {
        let programs = programs();
        // the script above removes it, because a static is never dropped
        let folder = TempDir::new().unwrap().keep();
        let user = ordinary_user();
        if let Some(user) = &user {
            run_program("chown", &[user, folder.to_str().unwrap()]);
        }
        let mut keeper = Command::new("bash")
            .args(["-c", KEEPER])
            .args([&programs, &folder])
            .args(as_user(user.as_deref()))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL does not start: {}/log", folder.display());
        let stdin = keeper.stdin.take();
        Self { folder, programs, keeper: Mutex::new((keeper, stdin)) }
    }

    /// The URL of a new, empty database.
    pub fn new_database(&self) -> String {
        let name = format!("t{}", Uuid::new_v4().simple());
        let folder = self.folder.to_str().unwrap();
        run_program(
            self.programs.join("createdb").to_str().unwrap(),
            &["-h", folder, "-U", "postgres", "-T", "template0", &name],
        );
        format!("postgres://postgres@localhost/{name}?host={folder}")
    }

    /// Stops the server immediately, like a crash.
    pub fn stop(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Starts it again.
    pub fn start_again(&self) {
        self.control(&["-l", self.folder.join("log").to_str().unwrap(), "-w", "start"]);
    }

    /// Suspends the processes of the server until the guard is dropped: connections stay open
    /// without responses.
    pub fn suspend(&self) -> Suspended {
        let pid_file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().to_owned();
        // first the process that starts others
        signal_each("STOP", std::slice::from_ref(&postmaster));
        let file = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(file).unwrap();
        let mut processes: Vec<String> = children.split_whitespace().map(str::to_owned).collect();
        signal_each("STOP", &processes);
        processes.push(postmaster);
        Suspended { processes }
    }

    fn control(&self, arguments: &[&str]) {
        let user = as_user(ordinary_user().as_deref());
        let program = self.programs.join("pg_ctl");
        let data = self.folder.join("data");
        let mut all: Vec<&str> = user.iter().map(String::as_str).collect();
        all.extend([program.to_str().unwrap(), "-D", data.to_str().unwrap()]);
        all.extend(arguments);
        run_program("env", &all);
    }
}

/// A server that is suspended.
pub struct Suspended {
    processes: Vec<String>,
}

impl Drop for Suspended {
    fn drop(&mut self) {
        signal_each("CONT", &self.processes);
    }
}

/// Sends a signal to processes, by their ids. One may have ended.
fn signal_each(name: &str, processes: &[String]) {
    let _ = Command::new("kill").arg(format!("-{name}")).args(processes).stderr(Stdio::null()).status();
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap();
        drop(keeper.1.take());
        let _ = keeper.0.wait();
    }
}

/// The folder of the server's programs.
fn programs() -> PathBuf {
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        if folder.join("initdb").exists() {
            return folder;
        }
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists()).max().expect("PostgreSQL is needed: make tools")
}

/// The server does not run as root.
fn ordinary_user() -> Option<String> {
    let id = Command::new("id").arg("-u").output().unwrap();
    (id.stdout == b"0\n").then(|| "nobody".to_owned())
}

fn as_user(user: Option<&str>) -> Vec<String> {
    match user {
        Some(user) => ["runuser", "-u", user, "--"].map(str::to_owned).to_vec(),
        None => vec!["env".to_owned()],
    }
}
