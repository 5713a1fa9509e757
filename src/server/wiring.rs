//! Settings as the rooms below take them, which do not know each other.

use super::error::StartError;
use crate::settings::{Secret, Store as StoreSettings, StoreKind};
use crate::store::{Address, Backend, Database, Options, TlsFiles};

/// # Errors
/// The connection string cannot be used.
pub(crate) fn store_options(settings: &StoreSettings) -> Result<Options, StartError> {
    let place = match &settings.kind {
        StoreKind::Embedded { path } => Backend::Directory(path.clone()),
        StoreKind::Postgres { url, password, tls_ca_file, tls_cert_file, tls_key_file } => {
            let files =
                TlsFiles { ca: tls_ca_file.clone(), cert: tls_cert_file.clone(), key: tls_key_file.clone() };
            Backend::Database(Box::new(Database {
                address: Address::new(url.expose(), password.as_ref().map(Secret::expose), &files)?,
                create_schema: settings.create_schema,
                connections: settings.connections,
                prepared_statements: settings.prepared_statements,
            }))
        }
    };
    Ok(Options { create: settings.create, ..Options::at(place, settings.deadline) })
}

/// A warning about a database on another machine without TLS, which only a private network or a tunnel can justify.
pub(super) fn unencrypted(place: &Backend) -> Option<String> {
    match place {
        Backend::Database(database) if database.address.is_in_the_clear() => Some(format!(
            "store.url: sslmode=disable sends the password and every login unencrypted to {} and does not verify the \
             server; set sslmode=verify-full unless that network is encrypted already",
            database.address
        )),
        _ => None,
    }
}
