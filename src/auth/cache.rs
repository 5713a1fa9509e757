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

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    ends: i64,
    generation: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Digest, Entry> for Weight {
    /// No entry weighs less than its share, so the bound on bytes is a bound on entries too.
    fn weight(&self, _: &Digest, entry: &Entry) -> u64 {
        (entry.caller.weight() as u64).max(MAX_BYTES / MAX_ENTRIES)
    }
}

pub(super) struct Cache {
    store: Store<Digest, Entry, Weight>,
    generation: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            store: Store::with_weighter(MAX_ENTRIES as usize, MAX_BYTES, Weight),
            generation: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The caller of a token that was verified under this generation of keys and has not ended by `now`.
    pub(super) fn get(&self, token: &Digest, generation: u64, now: i64) -> Option<Arc<Caller>> {
        self.align(generation);
        let found = self.store.get(token).filter(|entry| entry.generation == generation && now < entry.ends);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found.map(|entry| entry.caller)
    }

    /// Keeps a token that was verified under this generation of keys, until `ends`.
    pub(super) fn put(&self, token: Digest, caller: Arc<Caller>, ends: i64, generation: u64) {
        if self.align(generation) {
            self.store.insert(token, Entry { caller, ends, generation });
        }
    }

    /// Empties the cache when the keys have changed; `false` when they have changed since this generation.
    /// It is the check of each entry that keeps old keys out: emptying only gives the memory back.
    fn align(&self, generation: u64) -> bool {
        let newest = self.generation.load(Ordering::Relaxed);
        if newest < generation && self.generation.fetch_max(generation, Ordering::Relaxed) < generation {
            self.store.clear();
        }
        newest <= generation
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::any_caller;

    #[test]
    fn an_entry_that_slipped_in_while_the_keys_changed_is_not_served() {
        let (cache, key) = (Cache::new(), digest("token"));
        assert!(cache.get(&key, 2, 0).is_none());
        cache.store.insert(key, Entry { caller: any_caller(), ends: 100, generation: 1 });
        assert!(cache.get(&key, 2, 0).is_none());
    }
}
