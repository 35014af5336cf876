//! Binds a listener: TCP, or a Unix socket whose file mode decides who may
//! connect.

use std::fmt;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::config::Listen;

/// The address of a bound listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddr {
    /// TCP; the port is the actual one, even if the setting is 0.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen at {address}: {error}{}", self.hint())]
pub struct BindError {
    setting: &'static str,
    address: String,
    error: io::Error,
}

impl BindError {
    fn hint(&self) -> String {
        let Self { setting, .. } = self;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("; stop what listens there, or set {setting} to another address")
            }
            io::ErrorKind::PermissionDenied => {
                format!("; set {setting} to a port above 1023, or to a folder that this user may write to")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("; this machine does not have that address: set {setting} to another one")
            }
            _ => String::new(),
        }
    }
}

/// A bound socket and its address.
pub(super) struct BoundListener {
    pub addr: BoundAddr,
    pub socket: Socket,
}

pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The kernel's buffer for responses that a peer has not read yet. The kernel
/// doubles the value (socket(7), `SO_SNDBUF`). The largest response is about 30 kB.
const SEND_BUFFER_BYTES: u32 = 32 * 1024;

/// The kernel's buffer for requests that were not read yet; doubled as above.
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

impl BoundAddr {
    /// The IP address and port of a TCP listener.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for BoundAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl BoundListener {
    /// Binds the address of a setting. `mode` is the file mode of a Unix socket.
    pub fn bind(setting: &'static str, listen: &Listen, mode: u32, backlog: u32) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address, backlog),
            Listen::Unix(path) => bind_unix(path, mode),
        };
        bound.map_err(|error| BindError { setting, address: listen.to_string(), error })
    }
}

fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<BoundListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // accepted connections inherit the size; by default the kernel lets it grow to megabytes for
    // each connection
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(address)?;
    let socket = socket.listen(backlog)?.into_std()?;
    Ok(BoundListener { addr: BoundAddr::Ip(socket.local_addr()?), socket: Socket::Tcp(socket) })
}

/// Creates the socket in a private folder (0700), sets its mode, and then moves
/// it to its path, so that a process that `mode` excludes cannot connect at any time.
fn bind_unix(path: &Path, mode: u32) -> io::Result<BoundListener> {
    check_replaceable(path)?;
    // a short name, since the path of a socket has at most 107 bytes (`sun_path`)
    let (id, ..) = Uuid::new_v4().as_fields();
    let folder = path.with_file_name(format!(".{id:x}"));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let temporary = folder.join("s");
    let bound = UnixListener::bind(&temporary).and_then(|socket| {
        std::fs::set_permissions(&temporary, Permissions::from_mode(mode))?;
        std::fs::rename(&temporary, path)?;
        Ok(socket)
    });
    if bound.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    std::fs::remove_dir(&folder)?;
    let socket = bound?;
    socket.set_nonblocking(true)?;
    Ok(BoundListener { addr: BoundAddr::Unix(path.to_owned()), socket: Socket::Unix(socket) })
}

/// Only a socket that refuses connections, left by an earlier run, is replaced.
fn check_replaceable(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}
