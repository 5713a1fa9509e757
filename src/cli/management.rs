//! The client of the management listener for `health` and `export --from`: over TCP or a Unix socket.

use std::fmt;
use std::path::PathBuf;

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, http};
use url::Url;

use super::unix_connector::UnixConnector;

/// The `Host` of every request: one that the listener always accepts.
const HOST: &str = "localhost";
/// A placeholder in URLs: nothing is resolved or connected to.
const UNIX_URL: &str = "http://127.0.0.1";

/// The address of a management listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManagementAddress {
    /// `http://HOST:PORT`
    Http(Url),
    Unix(PathBuf),
}

impl ManagementAddress {
    /// Reads `http://HOST:PORT`, with or without a slash at the end, or `unix:PATH`.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = "write it as http://127.0.0.1:9090 or unix:/run/virksomhedslogin/management.sock";
        match text.strip_prefix("unix:") {
            Some("") => return Err(format!("names no path after unix:; {wanted}")),
            Some(path) => return Ok(Self::Unix(path.into())),
            None => {}
        }
        let url = Url::parse(text).map_err(|error| format!("{error}; {wanted}"))?;
        if url.scheme() != "http" {
            Err(format!("the management listener speaks http, not {}; {wanted}", url.scheme()))
        } else if !url.username().is_empty() || url.password().is_some() {
            Err(format!("it takes no user name or password; {wanted}"))
        } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            Err(format!("only the address is wanted, without a path; {wanted}"))
        } else {
            Ok(Self::Http(url))
        }
    }

    /// Gets this path, within the timeouts that `limit` sets. Any status is an answer.
    ///
    /// # Errors
    /// No answer.
    pub(super) fn get(
        &self,
        path: &str,
        limit: impl FnOnce(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope>,
    ) -> Result<http::Response<Body>, ureq::Error> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The listener is on this machine or its network.
            .proxy(None);
        let config = limit(config).build();
        let (agent, url) = match self {
            Self::Http(url) => (Agent::new_with_config(config), format!("{}{}", origin(url), path)),
            Self::Unix(socket) => {
                let connector = UnixConnector(socket.clone());
                let agent = Agent::with_parts(config, connector, DefaultResolver::default());
                (agent, format!("{UNIX_URL}{path}"))
            }
        };
        agent.get(url).header(http::header::HOST, HOST).call()
    }
}

fn origin(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

impl fmt::Display for ManagementAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => formatter.write_str(origin(url)),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
