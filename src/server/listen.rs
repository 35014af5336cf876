//! Taking an address: TCP, or a Unix socket whose file mode decides who may
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

/// An address that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddr {
    /// A network address, with the port that the system chose.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {error}{}", hint(error))]
pub struct BindError {
    address: String,
    error: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop what listens there, or choose another address in server.listen or server.admin_listen"
        }
        io::ErrorKind::PermissionDenied => {
            "; choose a port above 1023, or a folder that this user may write to"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

/// A socket that listens.
pub(super) struct BoundListener {
    pub addr: BoundAddr,
    pub socket: Socket,
}

pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What the kernel keeps of responses that a peer has not read yet. It doubles
/// this (socket(7), `SO_SNDBUF`). The largest response has some 30 kB.
const SEND_BUFFER_BYTES: u32 = 32 * 1024;

/// What the kernel keeps of requests that were not read yet; doubled as above.
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

impl BoundAddr {
    /// The network address, if it is one.
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
    /// Takes an address; a Unix socket gets the file mode.
    pub fn bind(listen: &Listen, mode: u32, backlog: u32) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address, backlog),
            Listen::Unix(path) => bind_unix(path, mode),
        };
        bound.map_err(|error| BindError { address: listen.to_string(), error })
    }
}

fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<BoundListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // connections inherit these; by themselves they could grow to some megabytes each
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(address)?;
    let socket = socket.listen(backlog)?.into_std()?;
    Ok(BoundListener { addr: BoundAddr::Ip(socket.local_addr()?), socket: Socket::Tcp(socket) })
}

/// The socket is made in a folder of its own that nobody else may enter, gets
/// its mode, and only then its place: at no time may anybody connect whom the
/// mode keeps out.
fn bind_unix(path: &Path, mode: u32) -> io::Result<BoundListener> {
    refuse_to_replace(path)?;
    // short, since a socket's path may have no more than some hundred bytes
    let (id, ..) = Uuid::new_v4().as_fields();
    let folder = path.with_file_name(format!(".{id:x}"));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let draft = folder.join("s");
    let placed = UnixListener::bind(&draft).and_then(|socket| {
        std::fs::set_permissions(&draft, Permissions::from_mode(mode))?;
        std::fs::rename(&draft, path)?;
        Ok(socket)
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    std::fs::remove_dir(&folder)?;
    let socket = placed?;
    socket.set_nonblocking(true)?;
    Ok(BoundListener { addr: BoundAddr::Unix(path.to_owned()), socket: Socket::Unix(socket) })
}

/// A socket that refuses connections was left by an earlier run; anything else
/// is somebody's.
fn refuse_to_replace(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}
