//! A set of keys (RFC 7517 §5): the usable ones, and which of them a token means.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::algorithm::Algorithm;
use super::error::TokenError;
use super::fetch::FetchError;
use super::jwk::{Key, SkippedKey};
use crate::strict_json::Json;

/// The largest key set that is read, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Maximum keys of a set that are looked at.
const MAX_KEYS: usize = 100;

/// Maximum keys that a message or a series of warnings names; the others are counted.
const MAX_REPORTED: usize = 20;

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
    #[error("the key set has no usable key{}", .0.iter().map(|line| format!("; {line}")).collect::<String>())]
    NoUsableKey(Vec<String>),
    /// The set could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The system refuses the thread that keeps the keys fresh.
    #[error("no thread for the keys: {0}")]
    NoThread(std::io::Error),
    /// A fault of the program.
    #[error("the fetch panicked")]
    Panicked,
}

impl KeyError {
    /// What an operator can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that the service's user may read",
            Self::TooLarge => "publish only the keys that sign now",
            Self::NotJson(_) | Self::NotASet => {
                "publish a JSON Web Key Set, {\"keys\": [ … ]}; neither PEM nor a single JWK is one"
            }
            Self::NoUsableKey(_) => {
                "publish at least one public key that can check signatures of token.algorithms"
            }
            Self::Fetch(error) => error.help,
            Self::NoThread(_) => "raise TasksMax= (ulimit -u)",
            Self::Panicked => "report it with the lines before it",
        }
    }

    /// The error with its help, as one line.
    pub fn with_help(&self) -> String {
        format!("{self}; {}", self.help())
    }

    /// Whether the issuer gave no answer, so that a later attempt may succeed with nothing changed here.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.outage)
    }
}

/// The usable keys of one published set. There is at least one.
pub(super) struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<SkippedKey>,
    /// All keys of the published set.
    total: usize,
}

impl KeySet {
    /// Reads a set for the algorithms that are allowed. Keys that cannot be used are left out and reported; one
    /// that stands twice counts once.
    pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        if text.len() > MAX_BYTES {
            return Err(KeyError::TooLarge);
        }
        let Jwks { looked_at, total } = parse(without_byte_order_mark(text))?;
        let mut set = Self { keys: vec![], left_out: vec![], total };
        for (index, jwk) in looked_at.iter().enumerate() {
            match Key::read(index + 1, jwk, allowed) {
                Ok(key) => match set.keys.iter_mut().find(|known| known.is_same(&key)) {
                    Some(known) => known.serve_as(&key),
                    None => set.keys.push(key),
                },
                Err(reason) => set.left_out.push(reason),
            }
        }
        if set.keys.is_empty() { Err(KeyError::NoUsableKey(set.left_out_lines())) } else { Ok(set) }
    }

    /// The one key that a token with this `kid` and `alg` means.
    ///
    /// With a `kid`, only the keys of that name are candidates, and without one all keys are; exactly one must
    /// serve the algorithm. So of two keys with the same `kid` the one that fits alone is taken, or none.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let named = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        if kid.is_some() && !self.keys.iter().any(|key| named(&key)) {
            return Err(TokenError::UnknownKey);
        }
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.serves(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(TokenError::NoFittingKey),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
        }
    }

    /// How many keys serve.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many keys of the set do not serve.
    pub(super) fn left_out_count(&self) -> usize {
        self.left_out.len() + self.total.saturating_sub(MAX_KEYS)
    }

    /// The keys that were looked at and do not serve, and why.
    #[cfg(test)]
    pub(super) fn left_out(&self) -> &[SkippedKey] {
        &self.left_out
    }

    /// What is wrong with a set that serves nevertheless, one line each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let ambiguous = self.keys.iter().filter_map(|key| key.ambiguity(&self.keys));
        self.left_out_lines().into_iter().chain(ambiguous.take(MAX_REPORTED)).collect()
    }

    fn left_out_lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.left_out.iter().take(MAX_REPORTED).map(ToString::to_string).collect();
        let more = self.left_out_count() - lines.len();
        if self.total > MAX_KEYS {
            lines.push(format!(
                "{more} more keys are left out, for only the first {MAX_KEYS} of {} keys are looked at",
                self.total
            ));
        } else if more > 0 {
            lines.push(format!("{more} more keys are left out"));
        }
        lines
    }
}

/// The text without the UTF-8 byte-order mark that some editors and servers put before it.
pub(super) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn parse(text: &[u8]) -> Result<Jwks, KeyError> {
    let not_json = |error: serde_json::Error| KeyError::NotJson(error.to_string());
    serde_json::from_slice::<IgnoredAny>(text).map_err(not_json)?;
    serde_json::from_slice(text).map_err(|error| {
        // JSON it is; what is wrong is its shape, or within a key something that cannot be read.
        if error.is_data() { KeyError::NotASet } else { not_json(error) }
    })
}

/// A published set: its first [`MAX_KEYS`] keys, and how many there are. The others cost no memory.
struct Jwks {
    looked_at: Vec<Json>,
    total: usize,
}

impl<'de> Deserialize<'de> for Jwks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SetVisitor)
    }
}

struct SetVisitor;

impl<'de> Visitor<'de> for SetVisitor {
    type Value = Jwks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Jwks, A::Error> {
        let mut set = None;
        while let Some(name) = members.next_key::<String>()? {
            if name != "keys" {
                members.next_value::<IgnoredAny>()?;
            } else if set.replace(members.next_value::<Keys>()?).is_some() {
                return Err(A::Error::custom("keys stands twice"));
            }
        }
        set.map(|Keys(set)| set).ok_or_else(|| A::Error::missing_field("keys"))
    }
}

/// The array of a set.
struct Keys(Jwks);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Keys, A::Error> {
        let mut looked_at = Vec::new();
        while looked_at.len() < MAX_KEYS
            && let Some(key) = keys.next_element()?
        {
            looked_at.push(key);
        }
        let mut total = looked_at.len();
        while keys.next_element::<IgnoredAny>()?.is_some() {
            total += 1;
        }
        Ok(Keys(Jwks { looked_at, total }))
    }
}
