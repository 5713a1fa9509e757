//! Listening: TCP or a Unix socket for the API, TCP for management.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, HttpServer, web};
use socket2::{Domain, Protocol, Socket, Type};

use super::{DISCONNECT_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE, StartError};
use crate::http::audit::AuditWriter;
use crate::http::boundary::boundary;
use crate::http::{self, Api};
use crate::settings::{Listen, Settings};

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

    /// Starts serving the API here.
    pub(super) fn serve(self, settings: &Settings, api: web::Data<Api>) -> io::Result<Server> {
        let documentation: fn(&mut web::ServiceConfig) =
            if settings.server.documentation { http::documentation } else { |_| () };
        let server = HttpServer::new(move || {
            // One for each worker.
            let audit = AuditWriter::new(Arc::clone(&api.audit));
            let service = WebApp::new().app_data(api.clone()).app_data(audit).wrap(from_fn(boundary));
            service.configure(http::api).configure(documentation)
        })
        .workers(settings.server.workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .shutdown_timeout(settings.server.shutdown_timeout.as_secs())
        .disable_signals();
        let server = match self {
            Self::Tcp(listener) => server.listen(listener)?,
            Self::Unix(listener, _) => server.listen_uds(listener)?,
        };
        Ok(server.run())
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a restart the port is free at once, although old connections are still winding down.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
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
