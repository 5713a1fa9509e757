//! The signature algorithms that an operator may allow, and the kind of key that each needs.
//!
//! There is no HMAC and no `none`, so nothing that is built from an [`Algorithm`] can mean them.

use biscuit::jwa::SignatureAlgorithm;
use strum::{Display, EnumString, VariantArray, VariantNames};

/// A signature algorithm of RFC 7518 or RFC 8037, by its name in `alg` and in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantArray, VariantNames)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519; RFC 9864 names the curve itself.
    #[strum(to_string = "EdDSA", serialize = "Ed25519")]
    EdDSA,
}

/// A kind of public key. Each algorithm needs exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    /// The kind of key, and biscuit's name for the algorithm; biscuit has no EdDSA.
    const fn parts(self) -> (KeyKind, Option<SignatureAlgorithm>) {
        match self {
            Self::RS256 => (KeyKind::Rsa, Some(SignatureAlgorithm::RS256)),
            Self::RS384 => (KeyKind::Rsa, Some(SignatureAlgorithm::RS384)),
            Self::RS512 => (KeyKind::Rsa, Some(SignatureAlgorithm::RS512)),
            Self::PS256 => (KeyKind::Rsa, Some(SignatureAlgorithm::PS256)),
            Self::PS384 => (KeyKind::Rsa, Some(SignatureAlgorithm::PS384)),
            Self::PS512 => (KeyKind::Rsa, Some(SignatureAlgorithm::PS512)),
            Self::ES256 => (KeyKind::P256, Some(SignatureAlgorithm::ES256)),
            Self::ES384 => (KeyKind::P384, Some(SignatureAlgorithm::ES384)),
            Self::EdDSA => (KeyKind::Ed25519, None),
        }
    }

    pub(super) const fn key_kind(self) -> KeyKind {
        self.parts().0
    }

    pub(super) const fn in_biscuit(self) -> Option<SignatureAlgorithm> {
        self.parts().1
    }
}
