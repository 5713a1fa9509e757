//! How many calls one client may make: a token bucket for each, counted once the token has been verified.
//!
//! A client is the token's `client_id`, else its `sub`, else its organisation code. [`TokenBuckets`] are kept by a keyed hash of
//! that, so that each takes as little memory however long its name is, and full ones are dropped now and then. Should
//! there be more clients at once than are kept, all begin anew with a full bucket: better to let some calls through
//! than to grow, or to refuse those who did nothing.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;

use arc_swap::ArcSwap;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::Caller;

/// How many buckets are kept.
const MOST_CLIENTS: usize = 10_000;

type Limiter<C> = RateLimiter<u64, HashMapStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A token bucket for each key.
pub(crate) struct TokenBuckets<C: Clock = MonotonicClock> {
    quota: Quota,
    clock: C,
    hasher: RandomState,
    limiter: ArcSwap<Limiter<C>>,
}

/// The buckets of all clients.
#[derive(Debug)]
pub struct RateLimit<C: Clock = MonotonicClock>(TokenBuckets<C>);

/// The bucket is empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Wait {
    /// What the client is known by.
    pub client: &'static str,
    /// Whole seconds, at least one, after which there is a call in the bucket again.
    pub seconds: u32,
}

impl TokenBuckets {
    /// So many calls a second for each key, and so many at once.
    pub(crate) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::with_clock(per_second, burst, MonotonicClock)
    }
}

impl<C: Clock + Clone> TokenBuckets<C> {
    fn with_clock(per_second: NonZeroU32, burst: NonZeroU32, clock: C) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = ArcSwap::from_pointee(Self::empty(quota, &clock));
        Self { quota, clock, hasher: RandomState::new(), limiter }
    }

    fn empty(quota: Quota, clock: &C) -> Limiter<C> {
        RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
    }

    /// Takes one call out of this key's bucket.
    ///
    /// # Errors
    /// When there is none in it: whole seconds, at least one, after which there is one again.
    pub(crate) fn take(&self, key: &impl Hash) -> Result<(), u32> {
        let limiter = self.limiter.load();
        let taken = limiter.check_key(&self.hasher.hash_one(key));
        if limiter.len() > MOST_CLIENTS {
            limiter.retain_recent();
            if limiter.len() > MOST_CLIENTS {
                self.limiter.store(Self::empty(self.quota, &self.clock).into());
            } else {
                limiter.shrink_to_fit();
            }
        }
        taken.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
        })
    }
}

impl RateLimit {
    /// So many calls a second for each client, and so many at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self(TokenBuckets::new(per_second, burst))
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    /// Takes one call out of the caller's bucket.
    ///
    /// # Errors
    /// When there is none in it.
    pub fn take(&self, caller: &Caller) -> Result<(), Wait> {
        let (client, name) = match (&caller.client_id, &caller.subject) {
            (Some(id), _) => ("the client_id", id.as_str()),
            (None, Some(subject)) => ("the sub", subject.as_str()),
            (None, None) => ("the organisation", caller.organisation_code.as_deref().unwrap_or_default()),
        };
        self.take_of(client, name)
    }

    fn take_of(&self, client: &'static str, name: &str) -> Result<(), Wait> {
        self.0.take(&(client, name)).map_err(|seconds| Wait { client, seconds })
    }
}

impl<C: Clock> fmt::Debug for TokenBuckets<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Buckets").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> (RateLimit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let positive = |number| NonZeroU32::new(number).unwrap();
        (RateLimit(TokenBuckets::with_clock(positive(per_second), positive(burst), clock.clone())), clock)
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let (limit, clock) = limit(2, 5);
        let take = || limit.take_of("the client_id", "a");
        for _ in 0..5 {
            take().unwrap();
        }
        assert_eq!(take(), Err(Wait { client: "the client_id", seconds: 1 }));
        clock.advance(Duration::from_millis(500));
        take().unwrap();
        take().unwrap_err();
        clock.advance(Duration::from_secs(60));
        for _ in 0..5 {
            take().unwrap();
        }
        take().unwrap_err();
    }

    #[test]
    fn one_client_does_not_use_up_anothers_bucket() {
        let (limit, _) = limit(1, 1);
        limit.take_of("the client_id", "a").unwrap();
        limit.take_of("the client_id", "a").unwrap_err();
        limit.take_of("the client_id", "b").unwrap();
        limit.take_of("the sub", "a").unwrap();
    }

    #[test]
    fn the_buckets_are_bounded_whoever_comes() {
        let (limit, clock) = limit(1, 1);
        for number in 0..25_000 {
            let _ = limit.take_of("the client_id", &number.to_string());
            assert!(limit.0.limiter.load().len() <= MOST_CLIENTS);
        }
        clock.advance(Duration::from_secs(2));
        for number in 0..MOST_CLIENTS {
            let _ = limit.take_of("the client_id", &format!("again {number}"));
        }
        // Those whose bucket is full again made room for those who came now.
        limit.take_of("the client_id", "again 9999").unwrap_err();
    }
}
