//! Token buckets for calls without a good token, each of which costs the client nothing and us a line in log and audit file.
//!
//! Each client address has a bucket, and all addresses together share a larger one. Calls beyond them are answered 429,
//! leave no line of their own and are summed up instead. Calls with a good token take nothing out of any bucket.
//!
//! An IPv6 client is its /64, which is what one customer of a provider has. The clients behind a proxy's Unix socket have
//! no address unless the proxy is trusted, and only the shared bucket: there the proxy limits by address.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use super::rate_limit::TokenBuckets;

/// Calls that an address may make at once after a pause, in seconds of its rate.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// The rate of all addresses together, in rates of one.
const SHARED: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// The kind of answer that takes a call out of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// An error. Beyond the bucket it is a 429 instead.
    Denied,
    /// The documentation, which is public. It is sent all the same, but not logged.
    Public,
}

/// The buckets, and what went beyond them since the last line that summed up.
#[derive(Debug)]
pub struct DeniedCalls {
    buckets: Option<[TokenBuckets; 2]>,
    summary: Mutex<Summary>,
}

/// Calls that left no line of their own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub calls: u64,
    /// Those that reached a method, for the audit file.
    pub of_methods: u64,
    /// The address that more than half of them came from, if there is one (Boyer and Moore's majority vote).
    pub most_from: Option<IpAddr>,
    votes: u64,
}

impl DeniedCalls {
    /// So many calls a second for each address; without a number there is no limit.
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let buckets = |rate: NonZeroU32| TokenBuckets::new(rate, rate.saturating_mul(BURST_SECONDS));
        let buckets = per_second.map(|own| [buckets(own), buckets(own.saturating_mul(SHARED))]);
        Self { buckets, summary: Mutex::default() }
    }

    /// Takes a call, which reached a method or not, out of the buckets of this client. When one is empty, the call is summed
    /// up, and the error is the seconds until there is one again.
    pub(crate) fn take(&self, client: Option<IpAddr>, answer: Answer, is_method: bool) -> Result<(), u32> {
        let Some([own, shared]) = &self.buckets else { return Ok(()) };
        let of_client = client.map_or(Ok(()), |client| own.take(&(answer, network(client))));
        of_client.and_then(|()| shared.take(&answer)).inspect_err(|_| {
            self.summary.lock().unwrap_or_else(PoisonError::into_inner).add(client, is_method);
        })
    }

    /// What went beyond the buckets since the last time, if anything did.
    pub(crate) fn take_summary(&self) -> Option<Summary> {
        let summary = std::mem::take(&mut *self.summary.lock().unwrap_or_else(PoisonError::into_inner));
        (summary.calls > 0).then_some(summary)
    }
}

impl Summary {
    fn add(&mut self, client: Option<IpAddr>, is_method: bool) {
        self.calls += 1;
        self.of_methods += u64::from(is_method);
        if self.votes == 0 {
            self.most_from = client;
        }
        if self.most_from == client {
            self.votes += 1;
        } else {
            self.votes -= 1;
        }
    }
}

/// What one client has: an IPv4 address, or a /64 of IPv6.
fn network(address: IpAddr) -> impl Hash {
    match address.to_canonical() {
        IpAddr::V4(address) => (4, u64::from(address.to_bits())),
        IpAddr::V6(address) => (6, (address.to_bits() >> 64) as u64),
    }
}

#[cfg(test)]
mod tests;
