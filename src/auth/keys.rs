//! A set of keys (RFC 7517 §5): the usable ones, and which of them a token means.
//!
//! Promises: a key that cannot be used is skipped with its reason and spoils no other; the cost of a hostile set is
//! bounded in bytes, keys and lines. Does not: check one key (`jwk` does).

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::algorithm::Algorithm;
use super::compact::{Compact, KeyNames};
use super::error::TokenError;
use super::jwk::Key;
use super::key_error::KeyError;
use crate::strict_json::without_byte_order_mark;

/// Maximum bytes of a key set.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Maximum keys of a set that are read.
const MAX_KEYS: usize = 100;

/// Maximum keys that a message or a series of warnings names; the others are counted.
const MAX_REPORTED: usize = 20;

/// The usable keys of one published set: at least one.
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// A line for each key that is not used, with the reason.
    skipped: Vec<String>,
    /// All keys of the published set.
    total: usize,
}

/// A published set, its keys not yet read. serde rejects a second `keys`.
#[derive(Deserialize)]
struct Jwks<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Reads a set for the algorithms that are allowed. Keys that cannot be used are skipped and reported; one that is
    /// published twice counts once.
    pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        if text.len() > MAX_BYTES {
            return Err(KeyError::TooLarge);
        }
        let published = parse(without_byte_order_mark(text))?.keys;
        let mut set = Self { keys: vec![], skipped: vec![], total: published.len() };
        for (index, jwk) in published.into_iter().take(MAX_KEYS).enumerate() {
            match Key::read(index + 1, jwk.get(), allowed) {
                Ok(key) => match set.keys.iter_mut().find(|known| known.is_same(&key)) {
                    Some(known) => known.serve_as(&key),
                    None => set.keys.push(key),
                },
                Err(skipped) => set.skipped.push(skipped),
            }
        }
        if set.keys.is_empty() { Err(KeyError::NoUsableKey(set.skipped_lines())) } else { Ok(set) }
    }

    /// The one key that a token means that names it so and has this `alg`.
    ///
    /// Candidates are the keys of that `kid`, or without one of those thumbprints, or without any all keys; exactly one
    /// must serve the algorithm.
    pub(super) fn find(&self, names: &KeyNames, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let mut named = self.keys.iter().filter(|key| key.is_named(names)).peekable();
        if named.peek().is_none() {
            return Err(TokenError::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.serves(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(TokenError::NoFittingKey),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
        }
    }

    /// Checks the signature of a token.
    pub(super) fn verify(&self, token: &Compact<'_>) -> Result<(), TokenError> {
        let Some(algorithm) = token.algorithm else { return Err(TokenError::Signature) };
        let key = self.find(&token.key_names, algorithm)?;
        let is_good = key.verifies(algorithm, token.signed.as_bytes(), &token.signature);
        if is_good { Ok(()) } else { Err(TokenError::Signature) }
    }

    /// Number of usable keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn skipped_count(&self) -> usize {
        self.skipped.len() + self.total.saturating_sub(MAX_KEYS)
    }

    #[cfg(test)]
    pub(super) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// What is wrong with a set that serves nevertheless, one line each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let ambiguous = self.keys.iter().filter_map(|key| key.ambiguity(&self.keys));
        self.skipped_lines().into_iter().chain(ambiguous.take(MAX_REPORTED)).collect()
    }

    fn skipped_lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.skipped.iter().take(MAX_REPORTED).cloned().collect();
        let more = self.skipped_count() - lines.len();
        if self.total > MAX_KEYS {
            lines.push(format!(
                "{more} more keys are skipped, for only the first {MAX_KEYS} of {} keys are read",
                self.total
            ));
        } else if more > 0 {
            lines.push(format!("{more} more keys are skipped"));
        }
        lines
    }
}

fn not_json(error: serde_json::Error) -> KeyError {
    KeyError::NotJson(error.to_string())
}

fn parse(text: &[u8]) -> Result<Jwks<'_>, KeyError> {
    serde_json::from_slice::<IgnoredAny>(text).map_err(not_json)?;
    // serde would take an array for the object.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(KeyError::NotASet);
    }
    serde_json::from_slice(text)
        .map_err(|error| if error.is_data() { KeyError::NotASet } else { not_json(error) })
}
