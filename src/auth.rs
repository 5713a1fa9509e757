//! Who calls? Bearer text → [`Caller`], or the rule that refuses it.
//!
//! A token passes five gates, each in its own module: it is read strictly (`compact`), its claims are judged
//! (`claims`), the one key that it means is found (`keys`), the signature is checked with that key and no other
//! (`jwk`), and what it says about the caller is read (`caller`). What passed is remembered for as long as the
//! token and the keys hold (`cache`). Keys are filtered at load (`jwk`, `strength`) and kept fresh by one thread
//! (`source`, `fetch`, `keyring`).
//!
//! Promises: nothing in a token can panic the process, or make it fetch anything but the configured key set,
//! and that at most once in 10 seconds; no fault quotes a token. Does not do: which header the token came in, and
//! what a caller may (that is `http` and `domain::access`). This is the only module that knows of biscuit, which
//! is asked one question: is this signature over these bytes that key's?

mod algorithm;
mod cache;
mod caller;
mod claims;
mod compact;
mod error;
mod fetch;
mod jwk;
mod keyring;
mod keys;
mod signer;
mod source;
mod strength;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::access::OrganisationType;
use crate::domain::clock::SharedClock;

pub use algorithm::Algorithm;
pub(crate) use caller::Caller;
pub(crate) use error::{ClaimError, TokenError};
pub(crate) use keyring::KeyStatus;
pub(crate) use keys::KeyError;
pub use signer::Signer;
pub(crate) use signer::SigningError;
pub use source::Source;
pub(crate) use source::{Prepared, Remote};

use cache::Cache;
use source::{KeySource, RefreshTiming};

/// The longest leeway, in seconds.
const MAX_LEEWAY_SECONDS: i64 = 60;

/// What a token must meet.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `iss`, exactly.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audience: Vec<String>,
    /// What `alg` may be.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks may differ, 0 to 60 seconds.
    pub leeway_seconds: i64,
    /// What `typ` may be, in lower case and without a leading `application/`; an empty one stands for a token that has
    /// no `typ`.
    pub types: Vec<String>,
    /// The longest time from `iat` to `exp`; 0 sets no limit.
    pub max_lifetime_seconds: i64,
    /// How the claims about the caller are called.
    pub claims: ClaimNames,
    /// What organisation types are called beside their plain names.
    pub organisation_types: BTreeMap<String, OrganisationType>,
}

/// How the claims about the caller are called: names of top-level members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The kind of organisation.
    pub organisation_type: String,
    /// Which organisation.
    pub organisation_code: String,
    /// The access modes.
    pub access: String,
    /// The scopes; one called `scp` may be an array of strings.
    pub scope: String,
    /// The CVR number of the acting "Anden Aktør".
    pub acting_cvr: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            organisation_type: "organisationType".to_owned(),
            organisation_code: "organisationCode".to_owned(),
            access: "adgang".to_owned(),
            scope: "scope".to_owned(),
            acting_cvr: "cvr".to_owned(),
        }
    }
}

/// Why a bearer token does not say who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The token is bad: 401. The text is for the log and the audit line.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// There are no keys to judge it with: 503.
    #[error("there are no keys to check tokens with")]
    KeysUnavailable,
}

/// Why tokens cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Under these rules every token or none would pass.
    #[error("{0}")]
    Rules(&'static str),
    /// The keys cannot be had.
    #[error("{error}", error = .0.with_help())]
    Keys(#[from] KeyError),
}

/// Counters and ages, for metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The keys.
    pub keys: KeyStatus,
    /// Tokens that were known.
    pub cache_hits: u64,
    /// Tokens that were not.
    pub cache_misses: u64,
}

/// What `check` learns about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// How many keys would serve: at least one.
    pub usable_keys: usize,
    /// Keys that would not serve, and keys that no token could mean: one line each, some twenty at most of each kind.
    pub warnings: Vec<String>,
}

/// Judges tokens. Shared by all workers; its background thread ends when it is dropped.
pub struct Authenticator {
    rules: Rules,
    source: KeySource,
    patience: Duration,
    clock: SharedClock,
    cache: Cache,
}

impl Authenticator {
    /// Reads the keys of a file at once, and fails without a usable one. A published set is fetched in the
    /// background: until it is there, tokens are answered [`AuthError::KeysUnavailable`].
    pub fn new(rules: Rules, source: Source, clock: SharedClock) -> Result<Self, StartError> {
        Self::with_pace(rules, source, clock, RefreshTiming::SERVING)
    }

    fn with_pace(
        rules: Rules,
        source: Source,
        clock: SharedClock,
        pace: RefreshTiming,
    ) -> Result<Self, StartError> {
        rules.check()?;
        let source = KeySource::open(source, &rules.issuer, rules.algorithms.clone(), pace)?;
        Ok(Self { rules, source, patience: pace.patience(), clock, cache: Cache::new() })
    }

    /// Who calls with this token (the text after `Bearer `).
    ///
    /// Awaits nothing but a fetch of keys: when there are none yet, or the token names an unknown one. That wait
    /// ends after 5.5 seconds at the latest, and needs a tokio runtime with its timer on.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        compact::check_length(token)?;
        let digest = cache::digest(token);
        if let Some(caller) = self.remembered(&digest) {
            return Ok(caller);
        }
        let compact = compact::read(token, &self.rules)?;
        let accepted = claims::check(&compact.claims, &self.rules, self.now())?;
        let ends = accepted.ends;
        let generation = match self.verify(&compact) {
            Err(AuthError::KeysUnavailable) => {
                self.source.keyring.wait_for_attempt(self.patience).await;
                self.verify(&compact)?
            }
            Err(AuthError::Token(TokenError::UnknownKey)) => {
                if !self.source.keyring.wait_for_unknown(self.patience).await {
                    return Err(TokenError::UnknownKey.into());
                }
                self.verify(&compact)?
            }
            verified => verified?,
        };
        // The wait may have outlasted the token.
        if self.now() >= ends {
            return Err(TokenError::Expired.into());
        }
        let caller = Arc::new(Caller::read(accepted, &compact.claims, &self.rules));
        self.cache.put(digest, Arc::clone(&caller), ends, generation);
        Ok(caller)
    }

    fn remembered(&self, digest: &cache::Digest) -> Option<Arc<Caller>> {
        let keys = self.source.keyring.current()?;
        self.cache.get(digest, keys.as_ref()?.generation, self.now())
    }

    /// Checks the signature, and tells the generation of the keys by which it is good.
    fn verify(&self, compact: &compact::Compact<'_>) -> Result<u64, AuthError> {
        let keys = self.source.keyring.current().ok_or(AuthError::KeysUnavailable)?;
        let keys = keys.as_ref().ok_or(AuthError::KeysUnavailable)?;
        let key = keys.set.find(compact.kid.as_deref(), compact.algorithm)?;
        if key.verifies(compact.algorithm, compact.signed.as_bytes(), &compact.signature) {
            Ok(keys.generation)
        } else {
            Err(TokenError::Signature.into())
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    /// Reads a key file anew, or has a published set fetched soon. When it is bad the old keys stay.
    pub fn reload(&self) -> Result<(), KeyError> {
        self.prepare_reload().map(|prepared| self.commit_reload(prepared))
    }

    /// The first half of [`Authenticator::reload`], which can fail; nothing has changed yet.
    pub fn prepare_reload(&self) -> Result<Prepared, KeyError> {
        self.source.prepare()
    }

    /// The second half, which cannot.
    pub fn commit_reload(&self, prepared: Prepared) {
        self.source.commit(prepared);
    }

    /// The other second half: nothing changes, and a key file as it is now serves only after a reload that succeeds.
    pub fn refuse_reload(&self) {
        self.source.refuse();
    }

    /// Forgets every verified token: for when the access matrix has changed.
    pub fn forget_verified(&self) {
        self.cache.clear();
    }

    /// Whether there are keys to check tokens with.
    pub fn has_keys(&self) -> bool {
        self.source.keyring.current().is_some()
    }

    /// Counters and ages.
    pub fn status(&self) -> Status {
        let (cache_hits, cache_misses) = self.cache.counts();
        Status { keys: self.source.keyring.status(), cache_hits, cache_misses }
    }
}

impl Rules {
    /// Faults that settings never let pass; a caller that skips them must not get a door without a lock.
    fn check(&self) -> Result<(), StartError> {
        let fault = if self.issuer.is_empty() {
            "the issuer is empty"
        } else if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            "there is no audience, or an empty one"
        } else if self.algorithms.is_empty() {
            "no algorithm is allowed"
        } else if !(0..=MAX_LEEWAY_SECONDS).contains(&self.leeway_seconds) {
            "the leeway is not 0 to 60 seconds"
        } else if self.types.is_empty() {
            "no type of token is allowed"
        } else if self.max_lifetime_seconds < 0 {
            "the longest lifetime of tokens is negative"
        } else {
            return Ok(());
        };
        Err(StartError::Rules(fault))
    }
}

/// Reads or fetches a source once, in the calling thread (5 seconds at most), and tells what would serve.
pub(crate) fn check_source(rules: &Rules, source: &Source) -> Result<Checked, KeyError> {
    let set = source::read_once(source, &rules.issuer, &rules.algorithms)?;
    Ok(Checked { usable_keys: set.len(), warnings: set.warnings() })
}
