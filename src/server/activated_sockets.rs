//! Sockets that the service manager bound before the start (socket activation, sd_listen_fds(3)).
//!
//! A socket named `management` is the management listener; one of any other name, or of none, is the API's. They replace
//! `server.listen` and `server.management`. A socket that cannot be used stops the start: its clients would wait for ever.

use std::io;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::error::StartError;
use super::listener::{API_SOCKET_MODE, ApiListener, MANAGEMENT_SOCKET_MODE};
use crate::settings::Server;

/// The name (`FileDescriptorName=`) of the management listener's socket.
const MANAGEMENT: &str = "management";

#[derive(Debug, Default)]
pub(crate) struct ActivatedSockets {
    api: Option<ApiListener>,
    management: Option<ApiListener>,
}

impl ActivatedSockets {
    /// Takes the sockets passed to this process, and their variables out of the environment: before any thread is started.
    pub(crate) fn take() -> Result<Self, StartError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let listener = take(&mut passed, index).map_err(|error| unusable(name, error))?;
            let place = if name == MANAGEMENT { &mut sockets.management } else { &mut sockets.api };
            if place.replace(listener).is_some() {
                return Err(unusable(name, "is one more socket for the same listener; pass one"));
            }
        }
        Ok(sockets)
    }

    /// Whether the API's socket outlives this process.
    pub(super) fn holds_api(&self) -> bool {
        self.api.is_some()
    }

    /// The listeners to serve: those passed, else the configured ones.
    pub(super) fn or_bind(self, server: &Server) -> Result<(ApiListener, Option<ApiListener>), StartError> {
        if self.management.is_some() && server.management.is_none() {
            return Err(unusable(MANAGEMENT, "is passed, but server.management is off"));
        }
        let api = match self.api {
            Some(listener) => listener,
            None => ApiListener::bind("server.listen", &server.listen, API_SOCKET_MODE)?,
        };
        let management = match (self.management, &server.management) {
            (None, Some(listen)) => {
                Some(ApiListener::bind("server.management", listen, MANAGEMENT_SOCKET_MODE)?)
            }
            (passed, _) => passed,
        };
        Ok((api, management))
    }
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<ApiListener> {
    let taken = || io::Error::other("was taken already");
    // A socket of another kind stays where it is, so the second kind may be tried.
    let (listener, listens) = match passed.take_unix_listener(index) {
        Ok(listener) => {
            let listener = listener.ok_or_else(taken)?;
            let listens = socket_acceptconn(&listener)?;
            (ApiListener::Unix(listener), listens)
        }
        Err(_) => {
            let listener = passed.take_tcp_listener(index)?.ok_or_else(taken)?;
            let listens = socket_acceptconn(&listener)?;
            (ApiListener::Tcp(listener), listens)
        }
    };
    if listens {
        return Ok(listener);
    }
    // No client could ever connect to it.
    Err(io::Error::other("is bound, but does not listen; pass it after listen(2)"))
}

fn unusable(name: &str, reason: impl ToString) -> StartError {
    StartError::ActivatedSockets { name: name.to_owned(), reason: reason.to_string() }
}
