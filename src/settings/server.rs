//! `[server]`: the two listeners and how they run.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::error::Wrong;
use super::keys;
use super::keys::{Default, Key};
use super::source::Source;
use super::text::{check_text, shown};
use crate::trusted_proxies::TrustedProxies;

/// Where and how requests are answered.
#[derive(Debug, Clone)]
pub struct Server {
    /// The API's listener.
    pub listen: Listen,
    /// The listener of health, metrics and export; none when `off`.
    pub management: Option<Listen>,
    /// Peers that say for whom they speak.
    pub trusted_proxies: TrustedProxies,
    /// What the documentation prints for the API's address, without a slash at its end.
    pub public_url: Option<String>,
    /// Threads that answer requests, 1 to 512.
    pub workers: usize,
    /// For requests in flight at the end, 1 s to 1 h.
    pub shutdown_timeout: Duration,
    /// Whether the documentation is served.
    pub documentation: bool,
}

/// An address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix domain socket, at most 107 bytes long.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    /// As it is configured.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// `sockaddr_un` holds 108 bytes, the last of them zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

pub(super) fn read(source: &mut Source) -> Option<Server> {
    let listen = source.text(&keys::LISTEN);
    let listen = listen.and_then(|text| address(source, &keys::LISTEN, &text, "unix:PATH"));
    let management = source.text(&keys::MANAGEMENT).filter(|text| text != "off");
    let management =
        management.and_then(|text| address(source, &keys::MANAGEMENT, &text, "unix:PATH or off"));
    if let (Some(listen), Some(management)) = (&listen, &management)
        && clash(listen, management)
    {
        let reason = format!("{management} is taken by {} ({listen})", keys::LISTEN.path);
        source.error(&keys::MANAGEMENT, reason, "give it an address of its own, or off");
    }
    Some(Server {
        trusted_proxies: trusted_proxies(source),
        public_url: public_url(source),
        management,
        workers: source.number(&keys::WORKERS),
        shutdown_timeout: source.seconds(&keys::SHUTDOWN_TIMEOUT),
        documentation: source.boolean(&keys::DOCUMENTATION),
        listen: listen?,
    })
}

fn trusted_proxies(source: &mut Source) -> TrustedProxies {
    let key = &keys::TRUSTED_PROXIES;
    let mut proxies = TrustedProxies::default();
    for text in source.list(key, check_text) {
        if proxies.add(&text).is_none() {
            let help = "write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32 or unix; host names are not resolved";
            source.error(key, format!("{} is no address, network or unix", shown(&text)), help);
        }
    }
    proxies
}

/// It is printed within the quotes of a shell and in HTML, so it has no character that means something there.
fn public_url(source: &mut Source) -> Option<String> {
    let text = source.text(&keys::PUBLIC_URL)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/%[]".contains(&byte);
    let is_good = Url::parse(&text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.contains("://")
        && text.bytes().all(is_plain);
    if !is_good {
        let help = "write https://HOST, with a port or path if need be, and without user, ? and #";
        source.error(&keys::PUBLIC_URL, format!("{} is no address of the web", shown(&text)), help);
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn address(source: &mut Source, key: &Key, text: &str, or: &str) -> Option<Listen> {
    let address = match text.strip_prefix("unix:") {
        Some(path) => unix(path, source.resolved(path), key.name()).map(Listen::Unix),
        None => tcp(key, text, or).map(Listen::Tcp),
    };
    source.check(key, address)
}

fn unix(path: &str, resolved: PathBuf, name: &str) -> Result<PathBuf, Wrong> {
    let length = resolved.as_os_str().len();
    if path.is_empty() {
        let name = if name == "listen" { "api" } else { name };
        let help = format!("write unix:/run/virksomhedslogin/{name}.sock");
        Err(("names no path after unix:".to_owned(), help))
    } else if path.ends_with('/') {
        Err(("names a directory after unix:".to_owned(), "name the socket in it".to_owned()))
    } else if length > MAX_SOCKET_PATH {
        let reason = format!("the socket's path is {length} bytes long");
        Err((reason, format!("use one of at most {MAX_SOCKET_PATH} bytes")))
    } else {
        Ok(resolved)
    }
}

/// Host names are rejected: what one resolves to can change, and with it who can reach the listener.
fn tcp(key: &Key, text: &str, or: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let example = if let Default::Is(text) = key.default { text } else { "127.0.0.1:8080" };
        let bare: Option<IpAddr> = text.trim_matches(['[', ']']).parse().ok();
        let (reason, help) = match (bare, text.rsplit_once(':')) {
            (Some(ip), _) => ("has no port", format!("write {}", SocketAddr::new(ip, 8080))),
            (None, Some(("localhost", port))) => {
                ("is a host name", format!("write 127.0.0.1:{port} or [::1]:{port}"))
            }
            (None, Some(("" | "*", port))) => {
                ("has no IP address", format!("write 0.0.0.0:{port} for every interface"))
            }
            _ => (
                "is not an IP address with a port",
                format!("write {example} or {or}; host names are not resolved"),
            ),
        };
        (format!("{} {reason}", shown(text)), help)
    })
}

/// Whether the second of these could not be bound. Port 0 takes any free port.
fn clash(left: &Listen, right: &Listen) -> bool {
    let (left, right) = match (left, right) {
        (Listen::Tcp(left), Listen::Tcp(right)) => (left, right),
        _ => return left == right,
    };
    let (one, other) = (left.ip().to_canonical(), right.ip().to_canonical());
    left.port() != 0
        && left.port() == right.port()
        && (one == other || left.ip().is_unspecified() || right.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_clash_when_the_second_could_not_be_bound() {
        let listen = |text: &str| match text.strip_prefix("unix:") {
            Some(path) => Listen::Unix(path.into()),
            None => Listen::Tcp(text.parse().unwrap()),
        };
        let clash = |left: &str, right: &str| clash(&listen(left), &listen(right));
        assert!(clash("127.0.0.1:1", "127.0.0.1:1"));
        assert!(clash("0.0.0.0:1", "127.0.0.1:1"));
        assert!(clash("127.0.0.1:1", "[::]:1"));
        assert!(clash("[::ffff:127.0.0.1]:1", "127.0.0.1:1"));
        assert!(!clash("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!clash("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"));
        assert!(clash("unix:/a", "unix:/a"));
        assert!(!clash("unix:/a", "unix:/b"));
        assert!(!clash("unix:/a", "127.0.0.1:1"));
    }
}
