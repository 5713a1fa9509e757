//! The client of the management listener for `health` and `export --from`: over TCP or a Unix socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body, Error, http};
use url::Url;

/// The `Host` of every request: one that the listener always accepts.
const HOST: &str = "localhost";
/// A placeholder in URLs: nothing is resolved or connected to.
const UNIX_URL: &str = "http://127.0.0.1";
/// Timeout of the connection, and of the answer's head.
const ANSWER: Duration = Duration::from_secs(30);
/// Timeout between two parts of an answer. The whole has none: a large export takes its time.
const SILENCE: Duration = Duration::from_secs(60);

/// The address of a management listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManagementAddress {
    /// `http://HOST:PORT`
    Http(String),
    Unix(PathBuf),
}

impl ManagementAddress {
    /// Reads `http://HOST:PORT`, with or without a slash at the end, or `unix:PATH`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = "write it as http://127.0.0.1:9090 or unix:/run/virksomhedslogin/management.sock";
        match text.strip_prefix("unix:") {
            Some("") => return Err(format!("names no path after unix:; {wanted}")),
            Some(path) => return Ok(Self::Unix(path.into())),
            None => {}
        }
        let url = Url::parse(text).map_err(|error| format!("{error}; {wanted}"))?;
        let origin = url.origin().ascii_serialization();
        if url.scheme() != "http" {
            Err(format!("the management listener speaks http, not {}; {wanted}", url.scheme()))
        } else if url.as_str().strip_suffix('/') != Some(&origin) {
            Err(format!("only the address is wanted, without a user name, password or path; {wanted}"))
        } else {
            Ok(Self::Http(origin))
        }
    }

    /// Gets this path. Any status is an answer. `limit` is the timeout of the whole answer.
    pub(super) fn get(&self, path: &str, limit: Option<Duration>) -> Result<http::Response<Body>, Error> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The listener is on this machine or its network.
            .proxy(None)
            .timeout_global(limit)
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .build();
        let (agent, origin) = match self {
            Self::Http(origin) => (Agent::new_with_config(config), origin.as_str()),
            Self::Unix(socket) => {
                let connector = UnixConnector(socket.clone());
                (Agent::with_parts(config, connector, DefaultResolver::default()), UNIX_URL)
            }
        };
        agent.get(format!("{origin}{path}")).header(http::header::HOST, HOST).call()
    }
}

impl fmt::Display for ManagementAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(origin) => formatter.write_str(origin),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Connects to the socket at this path, whatever the URL says: ureq itself knows TCP only.
#[derive(Debug)]
struct UnixConnector(PathBuf);

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<UnixTransport>, Error> {
        let stream = UnixStream::connect(&self.0)?;
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers: LazyBuffers::new(input, output) }))
    }
}

#[derive(Debug)]
struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::Timeout(timeout.reason),
            _ => error.into(),
        })?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// One request a connection.
    fn is_open(&mut self) -> bool {
        false
    }
}
