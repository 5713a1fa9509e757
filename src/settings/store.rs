//! `[store]`: where the logins are kept. Opens nothing but the files with secrets.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Origin;
use super::keys;
use super::keys::Key;
use super::read::Reported;
use super::secret::Secret;
use super::source::Source;
use super::text::check_text;
use super::toml_file::read_text;

/// Where the logins are kept.
#[derive(Debug, Clone)]
pub struct Store {
    pub kind: StoreKind,
    /// For a call of disk or database, 1 s to 60 s.
    pub deadline: Duration,
    /// Embedded: whether an absent store is made.
    pub create: bool,
    /// A file that exists when a store was made for this configuration before; the service never writes it.
    pub marker: PathBuf,
    /// PostgreSQL: whether what is missing is created.
    pub create_schema: bool,
    /// PostgreSQL: maximum connections.
    pub connections: usize,
    /// PostgreSQL: whether statements are prepared once on each connection.
    pub prepared_statements: bool,
}

/// Which store, with what only that one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// The store inside this process, in this directory.
    Embedded { path: PathBuf },
    /// A database that speaks PostgreSQL's protocol; the connection string is from `store.url` or `store.url_file`.
    Postgres {
        url: Secret,
        /// The content of `store.password_file`.
        password: Option<Secret>,
        tls_ca_file: Option<PathBuf>,
        tls_cert_file: Option<PathBuf>,
        tls_key_file: Option<PathBuf>,
    },
}

/// The package's marker beside the configuration: a store was made here before.
const MARKER: &str = "store-made";

pub(super) fn read(source: &mut Source) -> Result<Store, Reported> {
    let kind = match source.choice(&keys::STORE_KIND) {
        Ok(kind) if kind == "postgres" => postgres(source),
        Ok(_) => embedded(source),
        Err(reported) => Err(reported),
    };
    let deadline = source.seconds(&keys::DEADLINE);
    let create = source.boolean(&keys::STORE_CREATE);
    let create_schema = source.boolean(&keys::CREATE_SCHEMA);
    let prepared_statements = source.boolean(&keys::PREPARED_STATEMENTS);
    let connections = source.number(&keys::STORE_CONNECTIONS);
    Ok(Store {
        kind: kind?,
        deadline: deadline?,
        create: create?,
        marker: source.resolved(MARKER),
        create_schema: create_schema?,
        prepared_statements: prepared_statements?,
        connections: usize::try_from(connections?).unwrap_or(usize::MAX),
    })
}

fn embedded(source: &mut Source) -> Result<StoreKind, Reported> {
    let path = match source.path(&keys::STORE_PATH) {
        Ok(None) => {
            Err(source.missing(&keys::STORE_PATH, "is missing, and store.kind = \"embedded\" needs it"))
        }
        Ok(Some(path)) => Ok(path),
        Err(reported) => Err(reported),
    };
    // Errors, because an operator who names a database wants it used: writing elsewhere would lose logins.
    let others = [
        &keys::STORE_URL,
        &keys::STORE_URL_FILE,
        &keys::STORE_PASSWORD_FILE,
        &keys::STORE_TLS_CA_FILE,
        &keys::STORE_TLS_CERT_FILE,
        &keys::STORE_TLS_KEY_FILE,
    ]
    .map(|key| only_for(source, key, "postgres"));
    let path = path?;
    others.into_iter().collect::<Result<(), _>>()?;
    Ok(StoreKind::Embedded { path })
}

fn postgres(source: &mut Source) -> Result<StoreKind, Reported> {
    let path = only_for(source, &keys::STORE_PATH, "embedded");
    let url = match (source.is_given(&keys::STORE_URL), source.is_given(&keys::STORE_URL_FILE)) {
        (true, true) => Err(source.error(
            &keys::STORE_URL_FILE,
            "is given beside store.url",
            "give exactly one of the two",
        )),
        (true, false) => source.mandatory(&keys::STORE_URL),
        (false, true) => secret_file(source, &keys::STORE_URL_FILE),
        (false, false) => Err(source.missing(
            &keys::STORE_URL,
            "is missing, and store.kind = \"postgres\" needs it or store.url_file",
        )),
    };
    let password = match source.is_given(&keys::STORE_PASSWORD_FILE) {
        true => secret_file(source, &keys::STORE_PASSWORD_FILE).map(|password| Some(Secret::new(password))),
        false => Ok(None),
    };
    let tls_ca_file = source.path(&keys::STORE_TLS_CA_FILE);
    let tls_cert_file = source.path(&keys::STORE_TLS_CERT_FILE);
    let tls_key_file = source.path(&keys::STORE_TLS_KEY_FILE);
    path?;
    Ok(StoreKind::Postgres {
        url: Secret::new(url?),
        password: password?,
        tls_ca_file: tls_ca_file?,
        tls_cert_file: tls_cert_file?,
        tls_key_file: tls_key_file?,
    })
}

fn only_for(source: &mut Source, key: &Key, kind: &str) -> Result<(), Reported> {
    if !source.is_given(key) {
        return Ok(());
    }
    let help = format!("remove it, or set store.kind = \"{kind}\"");
    Err(source.error(key, format!("is only for store.kind = \"{kind}\""), help))
}

/// Editors and `echo` end a file with a line feed, which is no part of the secret.
fn secret_file(source: &mut Source, key: &Key) -> Result<String, Reported> {
    let name = source.mandatory(key)?;
    let file = source.resolved(&name);
    let found = read_text(&file).and_then(|text| {
        let secret = text.trim_end_matches(['\n', '\r']).to_owned();
        match check_text(&secret) {
            Some((reason, help)) => Err((reason.to_owned(), help.to_owned())),
            None => Ok(secret),
        }
    });
    found.map_err(|(reason, help)| {
        let origin = Origin::File { path: file, line: None };
        let reason = format!("{origin} {reason}");
        source.error(key, reason, help)
    })
}
