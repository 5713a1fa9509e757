//! Listening: TCP or a Unix socket, for the API and for management.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::geteuid;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::error::StartError;
use crate::settings::Listen;

/// Maximum connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// The API's Unix socket serves the proxy, which runs as another user of the same group.
pub(super) const API_SOCKET_MODE: u32 = 0o660;
/// The management listener serves the whole register, which the proxy's group must not read.
pub(super) const MANAGEMENT_SOCKET_MODE: u32 = 0o600;

/// A bound listener.
#[derive(Debug)]
pub(crate) enum ApiListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ApiListener {
    /// Binds the address of this configuration key; a Unix socket has this mode, and replaces only one that a dead process
    /// of this user left.
    pub(super) fn bind(key: &'static str, listen: &Listen, mode: u32) -> Result<Self, StartError> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path, mode).map(Self::Unix),
        };
        bound.map_err(|error| StartError::Listen { key, address: listen.to_string(), error })
    }
}

/// A warning about a management listener that other machines can reach.
pub(super) fn exposed(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "server.management: {address} is not a loopback address: any client that reaches it can read the whole register \
             (/export) without a token; use 127.0.0.1 or unix:PATH, or let a firewall admit the few that must"
        )
    })
}

impl fmt::Display for ApiListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(formatter, "{address}"),
                Err(error) => write!(formatter, "({error})"),
            },
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(formatter, "unix:{}", path.unwrap_or(Path::new("")).display())
            }
        }
    }
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

/// What is at the path of a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketPath {
    /// Nothing that can be seen.
    Free,
    /// A socket of this user without a process.
    Dead,
    /// A socket that a process has or may have.
    InUse,
}

impl SocketPath {
    /// Never blocks. Another file, or the dead socket of another user, is an error: neither is ever replaced.
    pub(super) fn check(path: &Path) -> io::Result<Self> {
        let Ok(file) = path.symlink_metadata() else { return Ok(Self::Free) };
        if !file.file_type().is_socket() {
            return Err(Errno::ADDRINUSE.into());
        }
        let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        client.set_nonblocking(true)?;
        // Success, a full queue (EAGAIN), another type (EPROTOTYPE): a process has it. One that is bound and does not listen
        // yet refuses as a dead one does.
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

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if SocketPath::check(path)? == SocketPath::Dead {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before it listens, so that no client connects under a wider mode.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}
