//! What a token says of the certificate that its client must show (`cnf`, RFC 8705 §3.1).
//!
//! Here is what may stand there; the certificate belongs to a call, and is compared for each of them (`api`).

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::TokenError;
use super::rules::CertificateBound;

/// SHA-256 of a certificate's DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    pub(crate) fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// The certificate that a token with these claims is bound to, if it is.
    pub(super) fn confirmed(claims: &Value, bound: CertificateBound) -> Result<Option<Self>, TokenError> {
        match (claims.get("cnf"), bound) {
            (_, CertificateBound::Off) | (None, CertificateBound::WhenBound) => Ok(None),
            (None, CertificateBound::Required) => Err(TokenError::NotBound),
            (Some(cnf), _) => Self::read(cnf).map(Some).ok_or(TokenError::Confirmation),
        }
    }

    /// Another member could be another proof that is asked for, so there may be none.
    fn read(cnf: &Value) -> Option<Self> {
        let members = cnf.as_object().filter(|members| members.len() == 1)?;
        let text = members.get("x5t#S256")?.as_str()?;
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}
