//! Sockets that the service manager bound before the start (socket activation, sd_listen_fds(3)).
//!
//! A socket named `management` is the management listener; the one of any other name, or of none, is the API's. They
//! stand in for `server.listen` and `server.management`. What cannot be used stops the start: a socket that nobody
//! answers on would keep its clients waiting for ever.

use std::io;
use std::os::fd::AsFd;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::listener::{API_SOCKET_MODE, ApiListener, MANAGEMENT_SOCKET_MODE};
use super::{ServerSettings, StartError};

/// The name (`FileDescriptorName=`) of the management listener's socket.
const MANAGEMENT: &str = "management";

/// The listeners of this process that it did not bind itself.
#[derive(Debug, Default)]
pub struct ActivatedSockets {
    api: Option<ApiListener>,
    management: Option<ApiListener>,
}

impl ActivatedSockets {
    /// Takes what was handed to this process; nothing when it was not started that way.
    ///
    /// Must be called once, before any thread is started: it takes the variables out of the environment.
    ///
    /// # Errors
    /// More than one socket for a listener, or one of the wrong kind.
    pub fn take() -> Result<Self, StartError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            let listener = if name == MANAGEMENT { &mut inherited.management } else { &mut inherited.api };
            if listener.replace(bound(&mut sockets, index, name)?).is_some() {
                return Err(denied_calls(name, "is one more socket for the same listener; hand over one"));
            }
        }
        Ok(inherited)
    }

    /// The listeners to serve: those handed over, and the configured ones where none was.
    ///
    /// # Errors
    /// An address cannot be listened on, or a management socket was handed over although it is turned off.
    pub(super) fn or_bind(
        self,
        server: &ServerSettings,
    ) -> Result<(ApiListener, Option<ApiListener>), StartError> {
        if self.management.is_some() && server.management.is_none() {
            return Err(denied_calls(MANAGEMENT, "is handed over, but server.management is off"));
        }
        let api = || ApiListener::bind("server.listen", &server.listen, API_SOCKET_MODE);
        let management = |listen| ApiListener::bind("server.management", listen, MANAGEMENT_SOCKET_MODE);
        let api = self.api.map_or_else(api, Ok)?;
        let management = match self.management {
            Some(listener) => Some(listener),
            None => server.management.as_ref().map(management).transpose()?,
        };
        Ok((api, management))
    }
}

fn bound(sockets: &mut ListenFd, index: usize, name: &str) -> Result<ApiListener, StartError> {
    // A refused socket stays where it was, so the second kind may be tried.
    if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
        listens(&listener, name)?;
        return ApiListener::from_unix(listener).map_err(|error| failed(name, &error));
    }
    match sockets.take_tcp_listener(index) {
        Ok(Some(listener)) => listens(&listener, name).map(|()| ApiListener::Tcp(listener)),
        Ok(None) => Err(denied_calls(name, "was taken already")),
        Err(error) => Err(failed(name, &error)),
    }
}

/// Nobody could ever connect to a socket that was bound and does not listen.
fn listens(socket: impl AsFd, name: &str) -> Result<(), StartError> {
    match socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) => Err(denied_calls(name, "is bound, but does not listen; hand it over after listen(2)")),
        Err(error) => Err(failed(name, &error.into())),
    }
}

fn failed(name: &str, error: &io::Error) -> StartError {
    denied_calls(name, &error.to_string())
}

fn denied_calls(name: &str, reason: &str) -> StartError {
    StartError::ActivatedSockets { name: name.to_owned(), reason: reason.to_owned() }
}
