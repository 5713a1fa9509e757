//! Where the database is: the connection string with its password and certificates, as one configuration a host.
//!
//! `tokio_postgres` parses the string. What is promised beyond that: a connection to another machine is encrypted and
//! verified unless `sslmode=disable` is given, only a server that takes writes is accepted, dead peers are noticed in
//! seconds, and neither an error nor a log line shows the password. No connection is opened here.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::AddressError;
use super::tls::{self, TlsFiles};

#[cfg(test)]
mod tests;

/// For each host, so that a dead first one leaves time for the second within `store.deadline_seconds`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that vanished from an idle connection is noticed in half a minute instead of two hours.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVES_RETRIES: u32 = 3;
/// A peer that vanished during a statement is noticed in 10 s instead of a quarter of an hour.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
const APPLICATION_NAME: &str = "virksomhedslogin";
const DEFAULT_PORT: u16 = 5432;

/// A database's hosts, and how they are connected to.
///
/// TLS: `sslmode` is `verify-full` unless every host is this machine (a socket directory, `localhost`, a loopback
/// address); then it is `disable`. `require` and `verify-ca` mean `verify-full`, because encryption to an unverified
/// server protects against no one. `prefer` lets an attacker turn TLS off, and is an error unless every host is this machine.
#[derive(Clone)]
pub struct Address {
    /// One configuration a host, in the order of the string; never empty.
    pub(super) hosts: Vec<Config>,
    /// Whether the hosts are tried in random order.
    pub(super) is_random: bool,
    connector: MakeRustlsConnect,
}

impl Address {
    /// Parses a `postgresql://` URI or libpq's `key=value` form, and reads the certificates.
    pub fn new(url: &str, password: Option<&str>, files: &TlsFiles) -> Result<Self, AddressError> {
        // `tokio_postgres` has no stricter mode than `require`, which is always verified here.
        let text = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        // Otherwise a piece of the password would be taken for the host or the database, and shown.
        if let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres"))
            && let Some((credentials, rest)) = rest.split_once('@')
            && (credentials.contains(['/', '?']) || rest.contains('@'))
        {
            return Err(url_error("percent-encode each @ / ? of the user, the password and the values"));
        }
        let mut given: Config = text.parse().map_err(|error| parse_error(&error))?;
        if let Some(password) = password {
            if given.get_password().is_some() {
                return Err(url_error(
                    "it holds a password, and store.password_file is set: keep one of the two",
                ));
            }
            given.password(password);
        }
        if given.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
            return Err(url_error(
                "target_session_attrs must be read-write: a standby takes no logins, and reads there could lack \
                 acknowledged ones",
            ));
        }
        let mut hosts = each_host(&given)?;
        let encrypted = match given.get_ssl_mode() {
            SslMode::Disable => false,
            SslMode::Prefer if hosts.iter().all(is_local) => false,
            SslMode::Prefer if url.contains("sslmode=prefer") => {
                return Err(url_error(
                    "sslmode=prefer lets an attacker on the network turn TLS off: set verify-full, or disable where \
                     the network is trusted",
                ));
            }
            _ => true,
        };
        let direct = given.get_ssl_negotiation() == SslNegotiation::Direct;
        if encrypted && !hosts.iter().all(|host| matches!(host.get_hosts(), [Host::Tcp(_)])) {
            return Err(url_error(
                "TLS needs the host name that the certificate must have: add host beside hostaddr; over a socket \
                 directory set sslmode=disable",
            ));
        }
        if !encrypted && (direct || *files != TlsFiles::default()) {
            return Err(url_error(
                "store.tls_ca_file, store.tls_cert_file, store.tls_key_file and sslnegotiation=direct would be ignored, \
                 because TLS is off (sslmode=disable, or every host is this machine): remove them, or set \
                 sslmode=verify-full",
            ));
        }
        for host in &mut hosts {
            host.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        }
        let is_random = given.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Ok(Self { hosts, is_random, connector: MakeRustlsConnect::new(tls::client_config(files, direct)?) })
    }

    /// Whether everything, the password included, goes to another machine unencrypted.
    pub fn is_in_the_clear(&self) -> bool {
        self.hosts.iter().any(|host| host.get_ssl_mode() == SslMode::Disable && !is_local(host))
    }

    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }
}

/// Without the password, for log lines.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |config: &Config| {
            let name = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
                (Some(Host::Unix(directory)), _) => directory.display().to_string(),
                (Some(Host::Tcp(host)), _) => host.clone(),
                (None, address) => address.map(IpAddr::to_string).unwrap_or_default(),
            };
            let port = config.get_ports().first().unwrap_or(&DEFAULT_PORT);
            if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
        };
        let hosts: Vec<_> = self.hosts.iter().map(shown).collect();
        let first = self.hosts.first();
        let user = first.and_then(Config::get_user).unwrap_or_default();
        let database = first.and_then(Config::get_dbname).unwrap_or_default();
        let text = format!("postgresql://{user}@{}/{database}", hosts.join(","));
        text.escape_debug().fmt(formatter)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

fn url_error(reason: &str) -> AddressError {
    AddressError(format!("store.url: {reason}"))
}

/// The parser's own words only where they name a known parameter: the name of an unknown one may be a piece of a password.
fn parse_error(error: &Error) -> AddressError {
    let reason = error.source().map(ToString::to_string).unwrap_or_default();
    if reason.starts_with("invalid value for option") {
        return url_error(&format!("{reason}; docs/POSTGRES.md lists its values"));
    }
    url_error(
        "not a connection string, or one with an unknown parameter: percent-encode special characters in a \
         postgresql:// address, quote values with spaces in the key=value form ('…'), and name certificates in \
         store.tls_ca_file, store.tls_cert_file and store.tls_key_file",
    )
}

/// One configuration for each host, with our defaults where the string has none.
fn each_host(given: &Config) -> Result<Vec<Config>, AddressError> {
    let (names, addresses, ports) = (given.get_hosts(), given.get_hostaddrs(), given.get_ports());
    let count = names.len().max(addresses.len());
    if count == 0 {
        return Err(url_error("no host: name one, as in postgresql://user@db.example/logins"));
    }
    let Some(user) = given.get_user() else {
        return Err(url_error("no user: name one, as in postgresql://user@db.example/logins"));
    };
    if !matches!(ports.len(), 0 | 1) && ports.len() != count
        || !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len()
    {
        return Err(url_error(
            "host, hostaddr and port must be lists of the same length, or port a single number",
        ));
    }
    let is_valid = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => ServerName::try_from(name.as_str()).is_ok(),
    };
    if !names.iter().all(is_valid) {
        return Err(url_error(
            "a host is not a DNS name, an IP address or an absolute directory; percent-encode special characters in \
             the password",
        ));
    }
    let default = Config::new();
    let one = |index| {
        let mut config = default.clone();
        match names.get(index) {
            Some(Host::Tcp(name)) => config.host(name),
            Some(Host::Unix(directory)) => config.host_path(directory),
            None => &mut config,
        };
        addresses.get(index).map(|address| config.hostaddr(*address));
        given.get_password().map(|password| config.password(password));
        given.get_options().map(|options| config.options(options));
        let idle = given.get_keepalives_idle();
        config
            .port(ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT))
            .user(user)
            .dbname(given.get_dbname().unwrap_or(user))
            .application_name(given.get_application_name().unwrap_or(APPLICATION_NAME))
            .connect_timeout(given.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT))
            .tcp_user_timeout(given.get_tcp_user_timeout().copied().unwrap_or(TCP_USER_TIMEOUT))
            .keepalives(given.get_keepalives())
            .keepalives_idle(if idle == default.get_keepalives_idle() { KEEPALIVES_IDLE } else { idle })
            .keepalives_interval(given.get_keepalives_interval().unwrap_or(KEEPALIVES_INTERVAL))
            .keepalives_retries(given.get_keepalives_retries().unwrap_or(KEEPALIVES_RETRIES))
            .ssl_negotiation(given.get_ssl_negotiation())
            .channel_binding(given.get_channel_binding())
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        config
    };
    Ok((0..count).map(one).collect())
}

/// Whether the connection stays on this machine. `hostaddr` decides where both are given: `host` is then only a name.
fn is_local(config: &Config) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    match (config.get_hostaddrs(), config.get_hosts()) {
        ([address], _) => loopback(*address),
        (_, [Host::Tcp(name)]) => name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback),
        (_, hosts) => !hosts.is_empty(),
    }
}
