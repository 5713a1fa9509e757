//! The TLS that the database is spoken to with: whose certificates are believed, and which one is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::address::AddressError;
use crate::files;

#[cfg(test)]
mod tests;

/// The files that a connection string names.
pub(super) struct Files {
    /// The authorities that are believed; without, the public ones.
    pub(super) roots: Option<PathBuf>,
    /// The certificate that this program shows, with those between it and its authority.
    pub(super) certificate: Option<PathBuf>,
    /// The key of that certificate.
    pub(super) key: Option<PathBuf>,
}

impl Files {
    /// Whether any is named.
    pub(super) fn any(&self) -> bool {
        self.roots.is_some() || self.certificate.is_some() || self.key.is_some()
    }

    /// Reads them. `direct` is for `sslnegotiation=direct`, where the server asks to be told what will be spoken.
    pub(super) fn client_config(&self, direct: bool) -> Result<ClientConfig, AddressError> {
        let builder = builder()?.with_root_certificates(self.roots()?);
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(path)) => {
                let chain = certificates("sslcert", certificate)?;
                let key = PrivateKeyDer::from_pem_slice(&read("sslkey", path)?).map_err(|_| {
                    fault("sslkey", path, "holds no private key in PEM that is not encrypted")
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    fault("sslkey", path, format!("does not go with the certificate in sslcert: {error}"))
                })?
            }
            _ => {
                return Err(AddressError::Refused(
                    "sslcert and sslkey go together: a certificate is nothing without its key",
                ));
            }
        };
        if direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(config)
    }

    /// The file's authorities stand in place of the public ones, not beside them.
    fn roots(&self) -> Result<RootCertStore, AddressError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            None => {
                roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
            }
            Some(path) => {
                for certificate in certificates("sslrootcert", path)? {
                    roots.add(certificate).map_err(|error| fault("sslrootcert", path, error))?;
                }
            }
        }
        Ok(roots)
    }
}

/// For where TLS is off: should it be spoken after all, no server is believed.
pub(super) fn trusting_nobody() -> Result<ClientConfig, AddressError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, AddressError> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| AddressError::Refused("TLS cannot be spoken by this build"))
}

fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let pem = read(name, path)?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|_| fault(name, path, "is no PEM file: a section is broken"))?;
    if all.is_empty() { Err(fault(name, path, "holds no certificate in PEM")) } else { Ok(all) }
}

fn read(name: &'static str, path: &Path) -> Result<Vec<u8>, AddressError> {
    files::read(path).map_err(|error| fault(name, path, error))
}

fn fault(name: &'static str, path: &Path, reason: impl ToString) -> AddressError {
    AddressError::File { name, path: path.to_owned(), reason: reason.to_string() }
}
