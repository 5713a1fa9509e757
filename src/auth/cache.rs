//! Recently verified tokens, so that the next request with one costs a hash and a look-up.
//!
//! Promises: bounded in entries and bytes; keyed by the whole token or its SHA-256, signature included; an entry holds no
//! longer than its token, and only with the key set under which it was verified. Rejected tokens are not kept, so only
//! valid tokens fill the cache.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache as Store;
use ring::digest;

use super::caller::Caller;

const MAX_ENTRIES: u64 = 16_384;
/// The longest token that a connection keeps, in bytes; ten thousand connections then keep 20 MiB at most.
const MAX_LAST: usize = 2048;
/// Approximate memory of all entries.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// SHA-256 of a token.
pub(super) type Digest = [u8; digest::SHA256_OUTPUT_LEN];

pub(super) fn digest(token: &str) -> Digest {
    let mut hash = Digest::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// A token, and the generation of the keys that verified it: under other keys it is not found, and makes room in time.
type Key = (Digest, u64);

/// The caller, and the millisecond at which the token ends.
type Entry = (Arc<Caller>, i64);

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    /// No entry weighs less than its share, so the bound on bytes is a bound on entries too.
    fn weight(&self, _: &Key, (caller, _): &Entry) -> u64 {
        (caller.weight() as u64).max(MAX_BYTES / MAX_ENTRIES)
    }
}

pub(super) struct Cache {
    store: Store<Key, Entry, Weight>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// How often all were forgotten.
    cleared: AtomicU64,
}

/// The token that was verified last on one connection. The next request carries it again as a rule, and is compared with it
/// instead of hashed. Holds on the same terms as an entry of the cache.
#[derive(Default)]
pub(crate) struct LastToken(RefCell<Option<Last>>);

#[cfg(test)]
impl LastToken {
    pub(super) fn length(&self) -> usize {
        self.0.borrow().as_ref().map_or(0, |last| last.token.len())
    }
}

struct Last {
    token: Box<str>,
    entry: Entry,
    generation: u64,
    cleared: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            store: Store::with_weighter(MAX_ENTRIES as usize, MAX_BYTES, Weight),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
        }
    }

    /// The caller of a token that was verified under this generation of keys and has not ended by `now`; else the token's
    /// digest.
    pub(super) fn get(
        &self,
        token: &str,
        last: &LastToken,
        generation: u64,
        now: i64,
    ) -> Result<Arc<Caller>, Digest> {
        let found = self.find(token, last, generation, now);
        let counter = if found.is_ok() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn find(&self, token: &str, last: &LastToken, generation: u64, now: i64) -> Result<Arc<Caller>, Digest> {
        let cleared = self.cleared.load(Ordering::Relaxed);
        if let Some(last) = &*last.0.borrow()
            && (last.generation, last.cleared) == (generation, cleared)
            && now < last.entry.1
            && *last.token == *token
        {
            return Ok(Arc::clone(&last.entry.0));
        }
        let digest = digest(token);
        let entry = self.store.get(&(digest, generation)).filter(|(_, ends)| now < *ends).ok_or(digest)?;
        let caller = Arc::clone(&entry.0);
        let keep = || Last { token: token.into(), entry, generation, cleared };
        last.0.replace((token.len() <= MAX_LAST).then(keep));
        Ok(caller)
    }

    /// Keeps a token that was verified under this generation of keys, until `ends`.
    pub(super) fn put(&self, token: Digest, caller: Arc<Caller>, ends: i64, generation: u64) {
        self.store.insert((token, generation), (caller, ends));
    }

    pub(super) fn clear(&self) {
        self.store.clear();
        self.cleared.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.store.weight()
    }
}
