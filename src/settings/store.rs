//! `[store]`: where the logins are kept. Opens nothing but the files with secrets.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::keys;
use super::keys::Key;
use super::source::Source;
use super::text::check_text;

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

pub(super) fn read(source: &mut Source) -> Option<Store> {
    let kind = source.text(&keys::STORE_KIND);
    let kind = kind.and_then(|kind| if kind == "postgres" { postgres(source) } else { embedded(source) });
    Some(Store {
        deadline: source.seconds(&keys::DEADLINE),
        create: source.boolean(&keys::STORE_CREATE),
        marker: source.resolved(MARKER),
        create_schema: source.boolean(&keys::CREATE_SCHEMA),
        prepared_statements: source.boolean(&keys::PREPARED_STATEMENTS),
        connections: source.number(&keys::STORE_CONNECTIONS),
        kind: kind?,
    })
}

fn embedded(source: &mut Source) -> Option<StoreKind> {
    let reason = "is missing, and store.kind = \"embedded\" needs it";
    let path = match source.is_given(&keys::STORE_PATH) {
        true => source.path(&keys::STORE_PATH),
        false => source.missing(&keys::STORE_PATH, reason),
    };
    // Errors, because an operator who names a database wants it used: writing elsewhere would lose logins.
    for key in [
        &keys::STORE_URL,
        &keys::STORE_URL_FILE,
        &keys::STORE_PASSWORD_FILE,
        &keys::STORE_TLS_CA_FILE,
        &keys::STORE_TLS_CERT_FILE,
        &keys::STORE_TLS_KEY_FILE,
    ] {
        only_for(source, key, "postgres");
    }
    Some(StoreKind::Embedded { path: path? })
}

fn postgres(source: &mut Source) -> Option<StoreKind> {
    only_for(source, &keys::STORE_PATH, "embedded");
    let reason = "is missing, and store.kind = \"postgres\" needs it or store.url_file";
    let url = match (source.is_given(&keys::STORE_URL), source.is_given(&keys::STORE_URL_FILE)) {
        (true, true) => {
            source.error(&keys::STORE_URL_FILE, "is given beside store.url", "give exactly one of the two");
            None
        }
        (false, true) => secret_file(source, &keys::STORE_URL_FILE),
        (true, false) => source.text(&keys::STORE_URL).map(Secret),
        (false, false) => source.missing(&keys::STORE_URL, reason),
    };
    Some(StoreKind::Postgres {
        password: secret_file(source, &keys::STORE_PASSWORD_FILE),
        tls_ca_file: source.path(&keys::STORE_TLS_CA_FILE),
        tls_cert_file: source.path(&keys::STORE_TLS_CERT_FILE),
        tls_key_file: source.path(&keys::STORE_TLS_KEY_FILE),
        url: url?,
    })
}

fn only_for(source: &mut Source, key: &Key, kind: &str) {
    if source.is_given(key) {
        let help = format!("remove it, or set store.kind = \"{kind}\"");
        source.error(key, format!("is only for store.kind = \"{kind}\""), help);
    }
}

/// Editors and `echo` end a file with a line feed, which is no part of the secret.
fn secret_file(source: &mut Source, key: &Key) -> Option<Secret> {
    let file = source.path(key)?;
    source.content(key, &file, |text| {
        let secret = text.trim_end_matches(['\n', '\r']);
        check_text(secret).map(|()| Secret(secret.to_owned()))
    })
}

/// A text that must not be shown, such as a connection string with its password: no `Serialize`, no `Display`, no value in
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "Secret(…)");
    }
}
