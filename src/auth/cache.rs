//! Recently verified tokens, so that the next request with one costs a hash and a look-up.
//!
//! Promises: bounded in entries and bytes; keyed by the SHA-256 of the whole token, signature included; an entry holds no
//! longer than its token, and only with the key set under which it was verified. Rejected tokens are not kept, so only
//! valid tokens fill the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache as Store;
use ring::digest;

use super::caller::Caller;

const MAX_ENTRIES: u64 = 16_384;
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
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            store: Store::with_weighter(MAX_ENTRIES as usize, MAX_BYTES, Weight),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The caller of a token that was verified under this generation of keys and has not ended by `now`.
    pub(super) fn get(&self, token: &Digest, generation: u64, now: i64) -> Option<Arc<Caller>> {
        let found = self.store.get(&(*token, generation)).filter(|(_, ends)| now < *ends);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found.map(|(caller, _)| caller)
    }

    /// Keeps a token that was verified under this generation of keys, until `ends`.
    pub(super) fn put(&self, token: Digest, caller: Arc<Caller>, ends: i64, generation: u64) {
        self.store.insert((token, generation), (caller, ends));
    }

    pub(super) fn clear(&self) {
        self.store.clear();
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
