//! Listening: TCP or a Unix socket for the API, TCP for management.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

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
    /// Binds the configured address. A Unix socket that a dead process left behind is replaced; one that somebody
    /// still listens on is not.
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

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).is_err()
    {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}
