//! A set of keys (RFC 7517 §5): the usable ones, and which of them a token means.

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::jwk::{Key, LeftOut};
use crate::strict_json::Json;

/// The largest key set that is read, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Why there is no usable set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// More bytes than are looked at.
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    /// Not JSON at all.
    #[error("the key set is not JSON: {0}")]
    NotJson(String),
    /// Not `{"keys": [ … ]}`.
    #[error("the key set is not one JSON object with one array named keys")]
    NotASet,
    /// Every key was left out, or there was none.
    #[error("the key set has no usable key{}", listed(.0))]
    NoUsableKey(Vec<LeftOut>),
    /// The set could not be fetched.
    #[error("{0}")]
    Fetch(String),
}

fn listed(left_out: &[LeftOut]) -> String {
    left_out.iter().map(|key| format!("; {key}")).collect()
}

/// The usable keys of one published set. There is at least one.
pub(super) struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
}

impl KeySet {
    /// Reads a set for the algorithms that are allowed. Keys that cannot be used are left out and told.
    pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        if text.len() > MAX_BYTES {
            return Err(KeyError::TooLarge);
        }
        let json = Json::parse(text).map_err(|error| KeyError::NotJson(error.to_string()))?;
        let mut named_keys =
            json.members().ok_or(KeyError::NotASet)?.iter().filter(|(name, _)| name == "keys");
        let (Some((_, Json::List(jwks))), None) = (named_keys.next(), named_keys.next()) else {
            return Err(KeyError::NotASet);
        };
        let (mut keys, mut left_out) = (vec![], vec![]);
        for (index, jwk) in jwks.iter().enumerate() {
            match Key::read(index + 1, jwk, allowed) {
                Ok(key) => keys.push(key),
                Err(reason) => left_out.push(reason),
            }
        }
        if keys.is_empty() { Err(KeyError::NoUsableKey(left_out)) } else { Ok(Self { keys, left_out }) }
    }

    /// The one key that a token with this `kid` and `alg` means.
    ///
    /// With a `kid`, only the keys of that name are candidates, and without one all keys are; exactly one must
    /// serve the algorithm. So of two keys with the same `kid` the one that fits alone is taken, or none.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenFault> {
        let named = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        if kid.is_some() && !self.keys.iter().any(|key| named(&key)) {
            return Err(TokenFault::UnknownKey);
        }
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.serves(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(TokenFault::NoFittingKey),
            (Some(_), Some(_)) => Err(TokenFault::AmbiguousKey),
        }
    }

    /// How many keys serve.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that do not serve, and why.
    pub(super) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}
