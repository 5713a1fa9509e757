//! Settings as the rooms below take them, which do not know each other.

use super::error::StartError;
use crate::auth;
use crate::settings::{JwksSource, Secret, Store as StoreSettings, StoreKind, Token};
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

pub(crate) fn key_source(token: &Token) -> auth::Source {
    let remote = |address| {
        auth::Source::Remote(auth::Remote {
            address,
            ca_file: token.ca_file.clone(),
            refresh: token.jwks_refresh,
            max_stale: token.jwks_max_stale,
        })
    };
    match &token.jwks {
        JwksSource::File(path) => auth::Source::File(path.clone()),
        JwksSource::Https(address) => remote(Some(address.clone())),
        JwksSource::Discover => remote(None),
    }
}

pub(crate) fn token_rules(token: &Token) -> auth::Rules {
    auth::Rules {
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        algorithms: token.algorithms.iter().filter_map(|name| auth::Algorithm::parse(name)).collect(),
        leeway_seconds: i64::try_from(token.leeway.as_secs()).unwrap_or(0),
        types: token.types.clone(),
        max_lifetime_seconds: i64::try_from(token.max_lifetime.as_secs()).unwrap_or(0),
        claims: auth::ClaimNames {
            organisation_type: token.claims.organisation_type.clone(),
            organisation_code: token.claims.organisation_code.clone(),
            access: token.claims.access.clone(),
            scope: token.claims.scope.clone(),
            acting_cvr: token.claims.acting_cvr.clone(),
        },
        organisation_types: token.organisation_types.clone(),
    }
}
