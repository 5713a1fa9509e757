//! Who calls? Bearer text → [`Caller`], or the rule that rejects it.
//!
//! A token is read strictly (`compact`), its claims are checked (`claims`), its one key is found (`keys`) and checks the
//! signature (`jwk`), and what it says about the caller is read (`caller`). What passed is cached for as long as token and
//! keys hold (`cache`). Keys are filtered at load (`jwk`, `strength`) and kept fresh by one thread (`refresh`). The checks
//! report to `findings`: the service stops at the first, `examine` collects all.
//!
//! Promises: nothing in a token can panic the process, or make it fetch anything but the configured key set, and that at
//! most once in 10 seconds; no error quotes more of a token than an algorithm or an issuer. Does not: find the token in a
//! request, compare the client's certificate with [`Caller::bound_to`], or decide what a caller may.
//! This is the only module that knows of biscuit, which is asked one question: is this signature over these bytes that key's?

mod algorithm;
mod cache;
mod caller;
mod claims;
mod compact;
mod confirmation;
mod error;
mod examine;
mod fetch;
mod findings;
mod jwk;
mod key_error;
mod keyring;
mod keys;
mod refresh;
mod rules;
mod signer;
mod source;
mod strength;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::clock::SharedClock;

pub use algorithm::Algorithm;
pub(crate) use cache::LastToken;
pub(crate) use caller::Caller;
pub(crate) use confirmation::Thumbprint;
pub(crate) use error::{AuthError, ClaimError, TokenError};
pub(crate) use examine::{Examination, examine};
pub(crate) use fetch::is_loopback;
pub(crate) use key_error::KeyError;
pub(crate) use keyring::KeyStatus;
pub use rules::{CertificateBound, ClaimName, ClaimNames, Rules};
pub use signer::Signer;
pub(crate) use source::Remote;
pub use source::Source;

use cache::Cache;
use findings::First;
use keyring::Keyring;
use refresh::Prepared;
use source::RefreshTiming;

/// Counters and ages, for metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub keys: KeyStatus,
    pub cache_hits: u64,
    pub cache_misses: u64,
}

/// Checks tokens. Shared by all workers; its background thread ends when it is dropped.
pub struct Authenticator {
    rules: Rules,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    cache: Cache,
}

impl Authenticator {
    /// Reads the keys of a file at once, and fails without a usable one. A published set is fetched in the
    /// background: until it is there, tokens are answered [`AuthError::KeysUnavailable`].
    pub fn new(rules: Rules, source: Source, clock: SharedClock) -> Result<Self, KeyError> {
        Self::with_timing(rules, source, clock, RefreshTiming::SERVING)
    }

    fn with_timing(
        rules: Rules,
        source: Source,
        clock: SharedClock,
        timing: RefreshTiming,
    ) -> Result<Self, KeyError> {
        let keyring = refresh::open(source, &rules, timing)?;
        Ok(Self { rules, keyring, clock, cache: Cache::new() })
    }

    /// As [`Self::authenticate_on`], for a first call.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        self.authenticate_on(&LastToken::default(), token).await
    }

    /// Who calls with this token (the text after `Bearer `) on a connection with this last one.
    ///
    /// Awaits nothing but a fetch of keys: when there are none yet, or the token names an unknown one. That wait
    /// ends after 5.5 seconds at the latest, and needs a tokio runtime with its timer on.
    pub(crate) async fn authenticate_on(
        &self,
        last: &LastToken,
        token: &str,
    ) -> Result<Arc<Caller>, AuthError> {
        compact::check_length(token)?;
        let digest = match self.cached(token, last) {
            Ok(caller) => return Ok(caller),
            Err(digest) => digest,
        };
        let compact = compact::read(token, &self.rules, &mut First)?;
        let accepted = claims::check(&compact.claims, &self.rules, self.now(), &mut First)?;
        let bound_to = Thumbprint::confirmed(&compact.claims, self.rules.certificate_bound)?;
        let ends = accepted.ends;
        let generation = match self.verify(&compact) {
            Err(error @ (AuthError::KeysUnavailable | AuthError::Token(TokenError::UnknownKey))) => {
                self.keyring.wait_for_attempt(error != AuthError::KeysUnavailable).await;
                self.verify(&compact)?
            }
            verified => verified?,
        };
        // The wait may have outlasted the token.
        if self.now() >= ends {
            return Err(TokenError::Expired.into());
        }
        let mut caller = Caller::read(accepted, &compact.claims, &self.rules);
        caller.bound_to = bound_to;
        let caller = Arc::new(caller);
        self.cache.put(digest, Arc::clone(&caller), ends, generation);
        Ok(caller)
    }

    fn cached(&self, token: &str, last: &LastToken) -> Result<Arc<Caller>, cache::Digest> {
        let keys = self.keyring.current();
        match keys.as_ref().and_then(|keys| (**keys).as_ref()) {
            Some(keys) => self.cache.get(token, last, keys.generation, self.now()),
            None => Err(cache::digest(token)),
        }
    }

    /// Checks the signature, and returns the generation of the keys that verify it.
    fn verify(&self, compact: &compact::Compact<'_>) -> Result<u64, AuthError> {
        let keys = self.keyring.current().ok_or(AuthError::KeysUnavailable)?;
        let keys = keys.as_ref().ok_or(AuthError::KeysUnavailable)?;
        keys.set.verify(compact)?;
        Ok(keys.generation)
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    /// The first half of a reload, which can fail and changes nothing: reads a key file again.
    pub fn prepare_reload(&self) -> Result<Prepared, KeyError> {
        refresh::prepare(&self.keyring)
    }

    /// The second half, which cannot fail: lets the prepared keys serve, or has a published set fetched soon.
    pub fn commit_reload(&self, prepared: Prepared) {
        refresh::commit(&self.keyring, prepared);
    }

    /// The other second half: nothing changes, and the key file as it is now serves only after a reload that succeeds.
    pub fn abandon_reload(&self) {
        refresh::abandon(&self.keyring);
    }

    /// Forgets every verified token, for a changed access table.
    pub fn forget_verified(&self) {
        self.cache.clear();
    }

    /// Whether there are keys to check tokens with.
    pub fn has_keys(&self) -> bool {
        self.keyring.current().is_some()
    }

    /// Counters and ages.
    pub fn status(&self) -> Status {
        let (cache_hits, cache_misses) = self.cache.counts();
        Status { keys: self.keyring.status(), cache_hits, cache_misses }
    }
}

/// Reads or fetches a source once, in the calling thread (5 seconds at most). It has a usable key; a line, of which there
/// are some forty at most, warns of each key that would not serve, or that no token could mean.
pub(crate) fn check_source(rules: &Rules, source: &Source) -> Result<Vec<String>, KeyError> {
    refresh::read_once(source, rules).map(|set| set.warnings())
}
