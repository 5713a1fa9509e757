//! The settings of the store as the store takes them, and what should be known before it is opened: a store that is missing
//! although there was one (its volume may not be mounted), a database that is reached without TLS.

use std::path::Path;

use super::error::StartError;
use crate::settings::{AuditTarget, Secret, Store as StoreSettings, StoreKind};
use crate::store::{Address, Backend, Database, OpenError, Options, Store, TlsFiles};

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

/// Warns before an empty store is made beside the signs of an earlier one. Changes nothing. An error is that of opening the
/// store, because it is missing or because of foreign files in its directory.
pub(crate) fn warn_of_absent_store(
    settings: &StoreSettings,
    audit: &AuditTarget,
    options: &Options,
) -> Result<(), OpenError> {
    if let (true, Backend::Directory(path)) = (Store::is_absent(options)?, &options.backend)
        && let Some(sign) = earlier_store(settings, Some(audit))
    {
        log::warn!(
            "there is no store at {}, although {} says that there was one; is its volume mounted? An empty one is made",
            path.display(),
            sign.display()
        );
    }
    Ok(())
}

/// The file that shows that there was a store: the package's marker, or an audit file with lines.
pub(super) fn earlier_store<'a>(
    settings: &'a StoreSettings,
    audit: Option<&'a AuditTarget>,
) -> Option<&'a Path> {
    if settings.marker.exists() {
        return Some(&settings.marker);
    }
    let Some(AuditTarget::File(path)) = audit else { return None };
    path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0).then_some(path)
}
