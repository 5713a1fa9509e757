//! Listening: TCP or a Unix socket for the API, TCP for management.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::geteuid;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::StartError;
use crate::settings::Listen;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// A Unix socket serves the proxy, which runs as another user of the same group.
const SOCKET_MODE: u32 = 0o660;

/// The API's listener, bound but not yet served.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket and its path.
    Unix(UnixListener, PathBuf),
}

impl Bound {
    /// Binds the configured address. A Unix socket of this user that a dead process left behind is replaced, and no other.
    pub fn bind(listen: &Listen) -> Result<Self, StartError> {
        let refused =
            |address: String| move |error| StartError::Listen { key: "server.listen", address, error };
        match listen {
            Listen::Tcp(address) => bind_tcp(*address).map(Self::Tcp).map_err(refused(address.to_string())),
            Listen::Unix(path) => bind_unix(path)
                .map(|listener| Self::Unix(listener, path.clone()))
                .map_err(refused(format!("unix:{}", path.display()))),
        }
    }

    /// A Unix socket that somebody else bound.
    pub(super) fn from_unix(listener: UnixListener) -> io::Result<Self> {
        let path = listener.local_addr()?.as_pathname().map_or_else(PathBuf::new, Path::to_owned);
        Ok(Self::Unix(listener, path))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(formatter, "{address}"),
                Err(error) => write!(formatter, "({error})"),
            },
            Self::Unix(_, path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Binds the management listener.
pub(super) fn bind_management(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind_tcp(address).map_err(|error| StartError::Listen {
        key: "server.management",
        address: address.to_string(),
        error,
    })
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket that has the address and does not listen yet.
pub(super) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a restart the port is free at once, although old connections are still winding down.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What is at the path where a socket will be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketPath {
    /// Nothing, or nothing that can be seen.
    Free,
    /// A socket of this user that no process has any more.
    Dead,
    /// A socket that a process has, or may have.
    InUse,
}

impl SocketPath {
    /// Checks it without waiting for the process that listens there.
    ///
    /// # Errors
    /// Something is there that is never replaced: no socket, or the dead socket of another user.
    pub(super) fn check(path: &Path) -> io::Result<Self> {
        let Ok(file) = path.symlink_metadata() else { return Ok(Self::Free) };
        if !file.file_type().is_socket() {
            return Err(Errno::ADDRINUSE.into());
        }
        let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        client.set_nonblocking(true)?;
        // Success, a full backlog (EAGAIN), another type (EPROTOTYPE): some process has it. Not one that is bound and does
        // not listen yet, which refuses as a dead one does.
        let refused = client
            .connect(&SockAddr::unix(path)?)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !refused || is_bound(path) {
            Ok(Self::InUse)
        } else if file.uid() == geteuid().as_raw() {
            Ok(Self::Dead)
        } else {
            let reason = format!("a dead socket is there that belongs to user {}; remove it", file.uid());
            Err(io::Error::new(io::ErrorKind::AddrInUse, reason))
        }
    }
}

/// Whether a process of this network namespace has a socket bound to this path.
fn is_bound(path: &Path) -> bool {
    let directory = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    let is_this = |bound: &Path| {
        bound.file_name() == path.file_name()
            // Relative to a working directory that is not known.
            && (bound.is_relative() || directory(bound) == directory(path))
    };
    procfs::net::unix()
        .is_ok_and(|sockets| sockets.iter().filter_map(|socket| socket.path.as_deref()).any(is_this))
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if SocketPath::check(path)? == SocketPath::Dead {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}
