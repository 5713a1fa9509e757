//! Token buckets: how many calls a client may make, a second and at once.
//!
//! Kept by a keyed hash of the client, so that a long name takes no memory; full ones are dropped. With more clients at once
//! than are kept, all start with a full bucket again: better than growing, or than denying those who did nothing.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::auth::Caller;

const MOST_CLIENTS: usize = 10_000;

/// A token bucket for each client.
#[derive(Debug)]
pub struct TokenBuckets {
    quota: Quota,
    hasher: RandomState,
    limiter: ArcSwap<DefaultKeyedRateLimiter<u64>>,
}

impl TokenBuckets {
    /// So many calls a second for each client, and so many at once.
    pub(crate) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = ArcSwap::from_pointee(RateLimiter::keyed(quota));
        Self { quota, hasher: RandomState::new(), limiter }
    }

    /// Takes one call out of this client's bucket; when it is empty, the error is the seconds until there is one.
    pub(crate) fn take(&self, client: &impl Hash) -> Result<(), u32> {
        let limiter = self.limiter.load();
        let taken = limiter.check_key(&self.hasher.hash_one(client));
        if limiter.len() > MOST_CLIENTS {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        if limiter.len() > MOST_CLIENTS {
            self.limiter.store(RateLimiter::keyed(self.quota).into());
        }
        taken.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
        })
    }
}

/// What names the caller as a client: the claim and its value.
pub(crate) fn client_of(caller: &Caller) -> (&'static str, &str) {
    match (&caller.client_id, &caller.subject) {
        (Some(id), _) => ("client_id", id),
        (None, Some(subject)) => ("sub", subject),
        (None, None) => ("organisation", caller.organisation_code.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
