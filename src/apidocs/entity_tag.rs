//! Names made from content: fingerprints and entity tags.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::api::encoding::Coding;

/// The first 64 bits of the SHA-256 of these bytes, in hexadecimal digits.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes)[..8])
}

/// The entity tag of content with this fingerprint; each coding has its own (RFC 9110 §8.8.3.3).
pub(super) fn entity_tag(fingerprint: &str, coding: Coding) -> String {
    match coding.name() {
        None => format!(r#"W/"{fingerprint}""#),
        Some(name) => format!(r#"W/"{fingerprint}-{name}""#),
    }
}
