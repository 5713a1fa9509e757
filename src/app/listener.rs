//! Listening: TCP or a Unix socket, for the API and for management.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::StartError;
use crate::settings::Listen;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The API's Unix socket serves the proxy, which runs as another user of the same group.
pub(super) const API_SOCKET_MODE: u32 = 0o660;
/// The management listener gives the whole register away: not to the proxy, nor to anybody else of that group.
pub(super) const MANAGEMENT_SOCKET_MODE: u32 = 0o600;

/// A listener, bound but not yet served.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket and its path.
    Unix(UnixListener, PathBuf),
}

impl Bound {
    /// Binds the address that this key configures; a Unix socket has this mode. One that a dead process left behind is
    /// replaced; one that somebody still listens on is not.
    pub(super) fn bind(key: &'static str, listen: &Listen, mode: u32) -> Result<Self, StartError> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path, mode).map(|listener| Self::Unix(listener, path.clone())),
        };
        bound.map_err(|error| StartError::Listen { key, address: listen.to_string(), error })
    }

    /// A Unix socket that somebody else bound.
    pub(super) fn from_unix(listener: UnixListener) -> io::Result<Self> {
        let path = listener.local_addr()?.as_pathname().map_or_else(PathBuf::new, Path::to_owned);
        Ok(Self::Unix(listener, path))
    }
}

/// Why the address of the management listener should be another, when it is not this machine's own.
pub(super) fn exposed(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "server.management: {address} is not a loopback address: whoever reaches it reads the whole register (/export) \
             without a token; use 127.0.0.1 or unix:PATH, or let a firewall admit the few that must"
        )
    })
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

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).is_err()
    {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before it listens, so nobody comes in under a wider mode.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}
