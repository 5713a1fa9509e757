//! TLS to the database: the authorities that are trusted, and the client certificate. Only PEM files that exist and are
//! whole are accepted; no connection is opened here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::AddressError;
use crate::files;

#[cfg(test)]
mod tests;

/// PEM files for the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities trusted instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Client certificate with its intermediate ones; only together with its key.
    pub cert: Option<PathBuf>,
    /// Unencrypted private key of the client certificate.
    pub key: Option<PathBuf>,
}

/// Reads the files. `direct` is `sslnegotiation=direct`, which requires ALPN.
pub(super) fn client_config(files: &TlsFiles, direct: bool) -> Result<ClientConfig, AddressError> {
    let mut roots = RootCertStore::empty();
    match &files.ca {
        None => {
            roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
        Some(path) => {
            for certificate in certificates("store.tls_ca_file", path)? {
                roots.add(certificate).map_err(|error| file_error("store.tls_ca_file", path, error))?;
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| AddressError(format!("TLS is not available: {error}")))?
        .with_root_certificates(roots);
    let mut config = match (&files.cert, &files.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(path)) => {
            let chain = certificates("store.tls_cert_file", cert)?;
            let error = |reason: &str| file_error("store.tls_key_file", path, reason);
            let pem = files::read(path).map_err(|reason| error(&reason.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(&pem)
                .map_err(|_| error("holds no unencrypted private key in PEM"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|reason| error(&format!("does not match store.tls_cert_file: {reason}")))?
        }
        _ => {
            return Err(AddressError(
                "store.tls_cert_file: needs store.tls_key_file, and the other way round: set both or neither"
                    .to_owned(),
            ));
        }
    };
    if direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let pem = files::read(path).map_err(|error| file_error(name, path, error))?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|_| file_error(name, path, "is not a PEM file: a section is broken"))?;
    if all.is_empty() { Err(file_error(name, path, "holds no certificate in PEM")) } else { Ok(all) }
}

fn file_error(name: &str, path: &Path, reason: impl ToString) -> AddressError {
    AddressError(format!("{name}: {}: {}", path.display(), reason.to_string()))
}
