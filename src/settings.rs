//! The configuration: one TOML file and the environment → validated [`Settings`], or every fault at once.
//!
//! Promises: what is loaded is valid in itself and in combination, names only files that could be read, and
//! holds the access table. A key or variable that is not known stops the start. Does not: open the store, bind
//! a listener, judge the keys in a key file (`auth` does), or fetch anything.
//!
//! Whether others may read `store.url_file` is not judged: Docker and Kubernetes mount secrets readable to all
//! users of a container that has only one, and a warning that is always there is not read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::domain::access::{AccessTable, OrganisationType};

pub(crate) mod access;
mod error;
#[cfg(test)]
mod fixtures;
pub(crate) mod keys;
mod limits;
mod read;
#[cfg(test)]
mod reference;
mod secret;
mod server;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use error::nearest;
pub(crate) use error::{Origin, SettingError, SettingsErrors};
pub(crate) use secret::Secret;

use read::Reported;
use source::Source;

/// The whole configuration, valid.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[store]`
    pub store: Store,
    /// `[token]`
    pub token: Token,
    /// `access.file`, to be read anew on SIGHUP with [`access::read_matrix`].
    pub access_file: PathBuf,
    /// What stood in it at the start.
    pub access_table: AccessTable,
    /// `audit.file`
    pub audit_file: AuditTarget,
    /// `log.format`
    pub log_format: LogFormat,
}

/// Where and how requests are answered.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where the API answers.
    pub listen: Listen,
    /// Where health, metrics and export answer; none when `off`.
    pub management: Option<Listen>,
    /// Threads that answer requests, 1 to 512.
    pub workers: usize,
    /// How long requests in hand may take at the end, 1 s to 1 h.
    pub shutdown_timeout: Duration,
    /// Whether the documentation is served.
    pub documentation: bool,
}

/// How much one client, and all of them together, may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of the API's listener that are served at once, 16 to 65536.
    pub connections: usize,
    /// For a request's head, and after it for its body, 1 s to 5 min.
    pub request_timeout: Duration,
    /// While a client takes nothing of an answer, 1 s to 1 h.
    pub write_timeout: Duration,
    /// Between two requests of a connection, 1 s to 1 h.
    pub idle_timeout: Duration,
    /// How many calls a client may make; none when there is no limit.
    pub rate: Option<Rate>,
    /// Calls a second without a good token that are answered one by one to an address, at most 100,000; none when there
    /// is no limit.
    pub refused_per_second: Option<NonZeroU32>,
}

/// A token bucket's size and how fast it is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second, at most 100,000.
    pub per_second: NonZeroU32,
    /// Calls at once, at most 100,000.
    pub burst: NonZeroU32,
}

/// An address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and port; port 0 takes a free one.
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

/// Where the logins are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// How long a call of disk or database may take, 1 s to 60 s.
    pub deadline: Duration,
    /// Embedded: whether a store that is not there is made.
    pub create: bool,
    /// A file that is there when a store was made for this configuration once; the service never writes it.
    pub marker: PathBuf,
    /// PostgreSQL: whether what is missing is created.
    pub create_schema: bool,
    /// PostgreSQL: how many connections are opened at most.
    pub connections: usize,
    /// PostgreSQL: whether statements are prepared once on each connection.
    pub prepared_statements: bool,
}

/// Which store, with what only that one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// The store inside this process.
    Embedded {
        /// Its directory.
        path: PathBuf,
    },
    /// A database that speaks PostgreSQL's protocol.
    Postgres {
        /// The connection string, from `store.url` or the file that `store.url_file` names.
        url: Secret,
        /// The content of `store.password_file`.
        password: Option<Secret>,
        /// `store.tls_ca_file`.
        tls_ca_file: Option<PathBuf>,
        /// `store.tls_cert_file`.
        tls_cert_file: Option<PathBuf>,
        /// `store.tls_key_file`.
        tls_key_file: Option<PathBuf>,
    },
}

/// How a bearer token is judged.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value of `iss`.
    pub issuer: String,
    /// The values of `aud` of which one must be there; never empty.
    pub audience: Vec<String>,
    /// Where the keys come from.
    pub jwks: JwksSource,
    /// Further authorities for fetching them, a PEM bundle with at least one certificate.
    pub ca_file: Option<PathBuf>,
    /// Names out of [`keys::ALGORITHMS`]; never empty.
    pub algorithms: Vec<String>,
    /// 0 s to 60 s.
    pub leeway: Duration,
    /// What `typ` may be, in lower case and without a leading `application/`; an empty one stands for a token without
    /// it. Never empty, none twice.
    pub types: Vec<String>,
    /// The longest time from `iat` to `exp`; zero sets no limit.
    pub max_lifetime: Duration,
    /// 10 s to 1 h.
    pub jwks_refresh: Duration,
    /// At least `jwks_refresh`, at most 30 days.
    pub jwks_max_stale: Duration,
    /// What the claims are called.
    pub claims: ClaimNames,
    /// What a claim's value stands for, beside the plain names.
    pub organisation_types: BTreeMap<String, OrganisationType>,
}

/// Where the issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A file, readable when the configuration was loaded.
    File(PathBuf),
    /// An address: https, or http to this machine.
    Https(Url),
    /// The OpenID configuration of the issuer, which is then such an address.
    Discover,
}

/// The names of the claims; all different, and none of them one that JWT itself gives a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// `A-kasse`, `JobCenter`, `STAR` or a mapped value.
    pub organisation_type: String,
    /// The organisation's number.
    pub organisation_code: String,
    /// The access mode or modes.
    pub access: String,
    /// The scopes.
    pub scope: String,
    /// The CVR number of an acting third party.
    pub acting_cvr: String,
}

/// Where audit lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// Standard output.
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Loads the file and the environment over it, or tells every fault of both, and of the access table.
///
/// Relative paths, those in variables too, are relative to the file's directory.
pub fn load(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsErrors> {
    let mut source = Source::gather(file, environment);
    let settings = read_all(&mut source);
    match settings {
        Ok(settings) if source.faults.is_empty() => Ok(settings),
        _ => Err(SettingsErrors(source.faults)),
    }
}

/// The sections that have no fault, whatever the others have.
#[derive(Debug, Clone)]
pub(crate) struct Sections {
    /// `[server]`
    pub server: Option<Server>,
    /// `[store]`
    pub store: Option<Store>,
    /// `[token]`
    pub token: Option<Token>,
    /// `audit.file`
    pub audit_file: Option<AuditTarget>,
}

/// Loads what [`load`] would, section by section. For `check`, which tries each against this machine before it tells
/// all faults.
pub(crate) fn load_sections(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Sections {
    let source = &mut Source::gather(file, environment);
    Sections {
        server: server::read(source).ok(),
        store: store::read(source).ok(),
        token: token::read(source).ok(),
        audit_file: read_audit(source).ok(),
    }
}

/// Every section is read before the first fault ends it, so that all are told.
fn read_all(source: &mut Source) -> Result<Settings, Reported> {
    let server = server::read(source);
    let limits = limits::read(source);
    let store = store::read(source);
    let token = token::read(source);
    let access = read_access(source);
    let audit_file = read_audit(source);
    let log_format = source.choice(&keys::LOG_FORMAT);
    let (access_file, access_table) = access?;
    Ok(Settings {
        server: server?,
        limits: limits?,
        store: store?,
        token: token?,
        access_file,
        access_table,
        audit_file: audit_file?,
        log_format: if log_format? == "json" { LogFormat::Json } else { LogFormat::Text },
    })
}

fn read_access(source: &mut Source) -> Result<(PathBuf, AccessTable), Reported> {
    let name = source.mandatory(&keys::ACCESS_FILE)?;
    let file = source.resolved(&name);
    match access::read_matrix(&file) {
        Ok(access_table) => Ok((file, access_table)),
        Err(faults) => {
            for fault in faults {
                // A table that cannot be read at all is a fault of the key that names it.
                if fault.key.is_none() && fault.line().is_none() {
                    source.fault(
                        &keys::ACCESS_FILE,
                        format!("{} {}", fault.origin, fault.reason),
                        fault.help,
                    );
                } else {
                    source.faults.push(fault);
                }
            }
            Err(Reported)
        }
    }
}

fn read_audit(source: &mut Source) -> Result<AuditTarget, Reported> {
    let name = source.mandatory(&keys::AUDIT_FILE)?;
    if name.ends_with('/') {
        return Err(source.fault(
            &keys::AUDIT_FILE,
            "names a directory",
            "name a file in it, or - for standard output",
        ));
    }
    Ok(if name == "-" { AuditTarget::Stdout } else { AuditTarget::File(source.resolved(&name)) })
}
