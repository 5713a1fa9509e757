//! The connection string that an operator writes into `store.url`, and what it is taken to mean.
//!
//! `tokio_postgres` reads most of it. What it does not know (certificates, `verify-full`), or reads otherwise than
//! PostgreSQL's own library does, is taken out before: see [`PARAMETERS`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;

mod error;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use error::AddressError;

/// Every parameter that is known, and what it takes.
const PARAMETERS: [(&str, &str); 23] = [
    ("application_name", "text"),
    ("channel_binding", "disable, prefer or require"),
    ("connect_timeout", "whole seconds"),
    ("dbname", "text"),
    ("host", "DNS names, IP addresses or absolute socket directories, with commas between them"),
    ("hostaddr", "IP addresses, with commas between them, one for each host"),
    ("keepalives", "0 or 1"),
    ("keepalives_idle", "whole seconds"),
    ("keepalives_interval", "whole seconds"),
    ("keepalives_retries", "a whole number"),
    ("load_balance_hosts", "disable or random"),
    ("options", "text"),
    ("password", "text"),
    ("port", "a number from 1 to 65535, or one for each host with commas between them"),
    ("sslcert", "the absolute path of a PEM file"),
    ("sslkey", "the absolute path of a PEM file"),
    ("sslmode", "verify-full or disable"),
    ("sslnegotiation", "postgres or direct"),
    ("sslrootcert", "the absolute path of a PEM file, or system"),
    // PostgreSQL's own library counts milliseconds here, tokio_postgres seconds: read as the former.
    ("tcp_user_timeout", "whole milliseconds"),
    ("target_session_attrs", "read-write"),
    ("user", "text"),
    // What PostgreSQL's own library calls keepalives_retries.
    ("keepalives_count", "a whole number"),
];

/// For each host, so that a dead first one leaves time for the second within `store.deadline_seconds`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that vanished while nothing was said is noticed in half a minute and not, as by default, in two hours.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVES_RETRIES: u32 = 3;
/// A peer that vanished with a question under way is noticed in 10 s and not, as by default, in a quarter of an hour.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Tells in `pg_stat_activity` whose connections these are.
const APPLICATION_NAME: &str = "virksomhedslogin";
/// Where PostgreSQL listens when nothing is said.
const PORT: u16 = 5432;

/// Where the database is and how it is spoken to.
///
/// TLS: `sslmode` is `verify-full` unless every host is this machine (a socket directory, `localhost`, a loopback
/// address); then it is `disable`. `require` and `verify-ca` are held to `verify-full`, which is stricter than they
/// ask for: encryption to a server that nobody checked protects from nobody. `prefer` and `allow` let whoever sits
/// between turn TLS off, and are refused unless every host is this machine.
#[derive(Clone)]
pub struct Address {
    config: Config,
    connector: MakeRustlsConnect,
}

impl Address {
    /// Reads a connection string: a postgres:// URI or libpq's key=value form.
    ///
    /// Reads the certificates that it names, too: what is wrong with them is told now and not at the first login.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut given = Given::read(text)?;
        let password = given.take("password");
        let mode = given.take("sslmode");
        let session = given.take("target_session_attrs");
        let user_timeout = given.take("tcp_user_timeout");
        let files = tls::Files {
            roots: given.path("sslrootcert", Some("system"))?,
            certificate: given.path("sslcert", None)?,
            key: given.path("sslkey", None)?,
        };

        let mut config = given.config()?;
        if let Some(password) = password {
            config.password(password);
        }
        check_hosts(&config)?;
        complete(&mut config, &given);
        set_user_timeout(&mut config, user_timeout)?;
        set_session(&mut config, session.as_deref())?;

        let encrypted = is_encrypted(mode.as_deref(), &config)?;
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let client = if encrypted {
            check_names(&config)?;
            config.ssl_mode(SslMode::Require);
            files.client_config(direct)?
        } else {
            config.ssl_mode(SslMode::Disable);
            if direct || files.any() {
                return Err(AddressError::Refused(
                    "sslrootcert, sslcert, sslkey and sslnegotiation=direct would be ignored, because TLS is off \
                     (sslmode=disable, or every host is this machine): leave them away, or say sslmode=verify-full",
                ));
            }
            tls::trusting_nobody()?
        };
        Ok(Self { config, connector: MakeRustlsConnect::new(client) })
    }

    /// All that a connection is made with.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The same for each host alone, in their order.
    pub(super) fn each_host(&self) -> Vec<Config> {
        let whole = &self.config;
        let one = |index| {
            let mut config = Config::new();
            match whole.get_hosts().get(index) {
                Some(Host::Tcp(name)) => config.host(name),
                Some(Host::Unix(directory)) => config.host_path(directory),
                None => &mut config,
            };
            if let Some(address) = whole.get_hostaddrs().get(index) {
                config.hostaddr(*address);
            }
            let ports = whole.get_ports();
            config.port(ports.get(index).or(ports.first()).copied().unwrap_or(PORT));
            whole.get_user().map(|user| config.user(user));
            whole.get_password().map(|password| config.password(password));
            whole.get_dbname().map(|database| config.dbname(database));
            whole.get_options().map(|options| config.options(options));
            whole.get_application_name().map(|name| config.application_name(name));
            whole.get_connect_timeout().map(|limit| config.connect_timeout(*limit));
            whole.get_tcp_user_timeout().map(|limit| config.tcp_user_timeout(*limit));
            whole.get_keepalives_interval().map(|interval| config.keepalives_interval(interval));
            whole.get_keepalives_retries().map(|retries| config.keepalives_retries(retries));
            config
                .keepalives(whole.get_keepalives())
                .keepalives_idle(whole.get_keepalives_idle())
                .ssl_mode(whole.get_ssl_mode())
                .ssl_negotiation(whole.get_ssl_negotiation())
                .channel_binding(whole.get_channel_binding())
                .target_session_attrs(whole.get_target_session_attrs());
            config
        };
        (0..count(whole)).map(one).collect()
    }

    /// Whether everything, the password included, goes to another machine in the clear.
    pub fn is_in_the_clear(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Disable
            && (0..count(&self.config)).any(|index| !is_local(&self.config, index))
    }

    /// What speaks TLS; unused where TLS is off.
    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }
}

/// For log lines: without the password, and without anything else that is not a place.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        write!(formatter, "postgresql://{}@", text::encode(user))?;
        for index in 0..count(&self.config) {
            if index > 0 {
                formatter.write_str(",")?;
            }
            match (self.config.get_hosts().get(index), self.config.get_hostaddrs().get(index)) {
                (Some(Host::Unix(directory)), _) => {
                    formatter.write_str(&text::encode_path(&directory.to_string_lossy()))?;
                }
                (Some(Host::Tcp(host)), _) if host.contains(':') => write!(formatter, "[{host}]")?,
                (Some(Host::Tcp(host)), _) => formatter.write_str(host)?,
                (None, Some(IpAddr::V6(address))) => write!(formatter, "[{address}]")?,
                (None, Some(address)) => write!(formatter, "{address}")?,
                (None, None) => {}
            }
            let ports = self.config.get_ports();
            write!(formatter, ":{}", ports.get(index).or(ports.first()).unwrap_or(&PORT))?;
        }
        write!(formatter, "/{}", text::encode(database))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

/// What the string says, each parameter once and none empty.
struct Given(BTreeMap<&'static str, String>);

impl Given {
    fn read(text: &str) -> Result<Self, AddressError> {
        let mut given = BTreeMap::new();
        for (index, pair) in text::pairs(text)?.into_iter().enumerate() {
            let name = match PARAMETERS.iter().find(|(known, _)| *known == pair.name) {
                Some(("keepalives_count", _)) => "keepalives_retries",
                Some((known, _)) => known,
                None if pair.is_surely_a_name => return Err(AddressError::Unknown(pair.name)),
                None => return Err(AddressError::UnknownAt(index + 1)),
            };
            if given.insert(name, pair.value).is_some() {
                return Err(AddressError::Twice(name));
            }
        }
        // As libpq has it: an empty value is one that was not given.
        given.retain(|_, value| !value.is_empty());
        Ok(Self(given))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The working directory of a service is an accident: a path must be absolute.
    fn path(&mut self, name: &'static str, none: Option<&str>) -> Result<Option<PathBuf>, AddressError> {
        match self.take(name).filter(|value| Some(value.as_str()) != none) {
            None => Ok(None),
            Some(value) if value.starts_with('/') => Ok(Some(PathBuf::from(value))),
            Some(_) => Err(value_of(name)),
        }
    }

    /// What is left, as `tokio_postgres` reads it.
    fn config(&self) -> Result<Config, AddressError> {
        let mut whole = String::new();
        for (name, value) in &self.0 {
            let one = format!("{name}='{}' ", value.replace('\\', r"\\").replace('\'', r"\'"));
            // Each alone first: so it is known which one is refused, whatever the error says.
            one.parse::<Config>().map_err(|_| value_of(name))?;
            whole.push_str(&one);
        }
        whole.parse().map_err(|_| AddressError::Form("it cannot be read"))
    }
}

/// A known parameter has a value that it does not take.
fn value_of(name: &'static str) -> AddressError {
    let known = PARAMETERS.iter().find(|(known, _)| *known == name);
    AddressError::Value { name, expected: known.map_or("another value", |(_, expected)| expected) }
}

/// How many hosts there are to try.
fn count(config: &Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len())
}

fn check_hosts(config: &Config) -> Result<(), AddressError> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    if count(config) == 0 {
        return Err(AddressError::Missing("host"));
    }
    if config.get_user().is_none() {
        return Err(AddressError::Missing("user"));
    }
    if !hosts.is_empty() && !addresses.is_empty() {
        if hosts.len() != addresses.len() {
            return Err(value_of("hostaddr"));
        }
        if hosts.iter().any(|host| matches!(host, Host::Unix(_))) {
            return Err(AddressError::Refused(
                "hostaddr cannot stand beside a socket directory: leave it away",
            ));
        }
    }
    if ports.contains(&0) || (ports.len() > 1 && ports.len() != count(config)) {
        return Err(value_of("port"));
    }
    let is_name = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => ServerName::try_from(name.as_str()).is_ok(),
    };
    if hosts.iter().all(is_name) { Ok(()) } else { Err(value_of("host")) }
}

/// Sets what the string left open.
fn complete(config: &mut Config, given: &Given) {
    if let (None, Some(user)) = (config.get_dbname(), config.get_user().map(str::to_owned)) {
        config.dbname(user);
    }
    if !given.has("connect_timeout") {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if !given.has("keepalives_idle") {
        config.keepalives_idle(KEEPALIVES_IDLE);
    }
    if !given.has("keepalives_interval") {
        config.keepalives_interval(KEEPALIVES_INTERVAL);
    }
    if !given.has("keepalives_retries") {
        config.keepalives_retries(KEEPALIVES_RETRIES);
    }
    if !given.has("application_name") {
        config.application_name(APPLICATION_NAME);
    }
}

/// 0 leaves it to the system, as libpq has it.
fn set_user_timeout(config: &mut Config, given: Option<String>) -> Result<(), AddressError> {
    let limit = match given {
        None => TCP_USER_TIMEOUT,
        Some(value) => {
            // The kernel keeps it in 32 bits.
            let milliseconds: u32 = value.parse().map_err(|_| value_of("tcp_user_timeout"))?;
            Duration::from_millis(milliseconds.into())
        }
    };
    if !limit.is_zero() {
        config.tcp_user_timeout(limit);
    }
    Ok(())
}

/// Only a server that takes writes will do, whatever is said.
fn set_session(config: &mut Config, given: Option<&str>) -> Result<(), AddressError> {
    match given {
        None | Some("any" | "read-write" | "primary") => {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            Ok(())
        }
        Some("read-only" | "standby" | "prefer-standby") => Err(AddressError::Refused(
            "target_session_attrs must be read-write: a standby cannot take logins, and reading there could show \
             less than what was acknowledged",
        )),
        Some(_) => Err(value_of("target_session_attrs")),
    }
}

/// Whether what is said to this host stays on this machine. `hostaddr` decides where both are given: `host` is then
/// a name only.
fn is_local(config: &Config, index: usize) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    match (config.get_hostaddrs().get(index), config.get_hosts().get(index)) {
        (Some(address), _) => loopback(*address),
        (None, Some(Host::Tcp(name))) => {
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback)
        }
        (None, Some(Host::Unix(_))) => true,
        (None, None) => false,
    }
}

/// Whether TLS is spoken, and then with every check.
fn is_encrypted(mode: Option<&str>, config: &Config) -> Result<bool, AddressError> {
    let local = (0..count(config)).all(|index| is_local(config, index));
    match mode {
        None => Ok(!local),
        Some("disable") => Ok(false),
        Some("require" | "verify-ca" | "verify-full") => Ok(true),
        Some("prefer" | "allow") if local => Ok(false),
        Some("prefer" | "allow") => Err(AddressError::Refused(
            "sslmode=prefer and sslmode=allow let whoever sits between turn TLS off: say verify-full, or disable if \
             nobody can",
        )),
        Some(_) => Err(value_of("sslmode")),
    }
}

/// A certificate is checked against a name, and a socket directory has none; nor does PostgreSQL speak TLS there.
fn check_names(config: &Config) -> Result<(), AddressError> {
    if config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
        return Err(AddressError::Refused(
            "TLS is not spoken over a socket directory: with one, name no host on another machine and leave \
             sslmode away, or say sslmode=disable",
        ));
    }
    if config.get_hosts().is_empty() {
        return Err(AddressError::Refused(
            "hostaddr alone does not tell which name the server's certificate must have: add host",
        ));
    }
    Ok(())
}
