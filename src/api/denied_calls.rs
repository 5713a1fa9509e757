//! Calls of clients without a good token: how many are answered one by one, and the one line a second for the rest.
//!
//! Such a call costs a client nothing, and its lines in log and audit file cost us disk. So each client address has a
//! token bucket for them, and all addresses together share a larger one. A refused call beyond a bucket is answered 429
//! and leaves no line of its own; once a second the log and the audit file say how many there were. Calls with a good token
//! take nothing out of any bucket, whatever else comes from their address.
//!
//! An IPv6 client is its /64, which is what one customer of a provider has. A peer without an address (the Unix socket of a
//! proxy, behind which there may be anybody) has no bucket of its own, only a part in the shared one: there the proxy
//! limits by address.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::{rt, web};

use super::ApiState;
use super::problem::Kind;
use super::rate_limit::TokenBuckets;
use crate::audit;

/// Calls that an address may make at once after a pause, in seconds of its rate.
const BURST_SECONDS: u32 = 20;
/// The rate of all addresses together, in rates of one.
const SHARED: u32 = 4;
/// Between two lines that sum up.
const EVERY: Duration = Duration::from_secs(1);

/// What kind of answer takes a call out of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
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
struct Summary {
    calls: u64,
    /// Those that reached a method, for the audit file.
    of_methods: u64,
    /// The address that more than half of them came from, if there is one (Boyer and Moore's majority vote).
    most_from: Option<IpAddr>,
    votes: u64,
}

impl DeniedCalls {
    /// So many calls a second for each address; without a number there is no limit.
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let times =
            |rate: NonZeroU32, factor| rate.saturating_mul(NonZeroU32::MIN.saturating_add(factor - 1));
        let buckets = |rate| TokenBuckets::new(rate, times(rate, BURST_SECONDS));
        let buckets = per_second.map(|own| [buckets(own), buckets(times(own, SHARED))]);
        Self { buckets, summary: Mutex::default() }
    }

    /// Takes a call out of the buckets of this client.
    ///
    /// # Errors
    /// When one of them is empty: the seconds after which there is a call in it again. The call counts for the next line
    /// that sums up, where `is_method` tells whether it reached a method.
    pub fn take(&self, client: Option<IpAddr>, answer: Answer, is_method: bool) -> Result<(), u32> {
        let Some([own, shared]) = &self.buckets else { return Ok(()) };
        let of_client = client.map_or(Ok(()), |client| own.take(&(answer, network(client))));
        of_client.and_then(|()| shared.take(&answer)).inspect_err(|_| {
            let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(client, is_method);
        })
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

/// Sums up every second, for as long as the service runs.
pub(crate) async fn watch(api: web::Data<ApiState>) -> ! {
    loop {
        rt::time::sleep(EVERY).await;
        let api = api.clone();
        // Not on this thread: an audit file may stand still.
        let _ = rt::task::spawn_blocking(move || sum_up(&api)).await;
    }
}

/// Writes what went beyond the buckets since the last time into the log and the audit file.
pub(crate) fn sum_up(api: &ApiState) {
    let summary =
        std::mem::take(&mut *api.denied_calls.summary.lock().unwrap_or_else(PoisonError::into_inner));
    if summary.calls == 0 {
        return;
    }
    let from = summary.most_from.map_or_else(|| "unix".to_owned(), |address| address.to_string());
    log::warn!(
        calls = summary.calls, remote = from.as_str();
        "clients without a good token call more often than limits.refused_per_second allows; these calls have no line of \
         their own"
    );
    if summary.of_methods > 0 {
        let (status, code, _) = Kind::TooManyRequests.row();
        let line = audit::summary(api.clock.now(), status, code, summary.of_methods, &from);
        if let Err(error) = api.audit.write_alone(&line) {
            api.metrics.audit_failures.inc();
            log::error!(
                "the audit line of {} refused calls could not be written: {error}",
                summary.of_methods
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied_calls(limit: &DeniedCalls, address: &str) -> Result<(), u32> {
        limit.take(Some(address.parse().unwrap()), Answer::Denied, true)
    }

    fn limit(per_second: u32) -> DeniedCalls {
        DeniedCalls::new(NonZeroU32::new(per_second))
    }

    #[test]
    fn an_address_has_a_burst_and_others_are_not_affected() {
        let limit = limit(1);
        for _ in 0..BURST_SECONDS {
            denied_calls(&limit, "192.0.2.1").unwrap();
        }
        assert_eq!(denied_calls(&limit, "192.0.2.1"), Err(1));
        // The same address as a listener of both families shows it.
        assert_eq!(denied_calls(&limit, "::ffff:192.0.2.1"), Err(1));
        denied_calls(&limit, "192.0.2.2").unwrap();
        let public = |address: &str| limit.take(Some(address.parse().unwrap()), Answer::Public, false);
        public("192.0.2.1").unwrap();
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let limit = limit(1);
        for host in 0..BURST_SECONDS {
            denied_calls(&limit, &format!("2001:db8::{host:x}")).unwrap();
        }
        assert!(denied_calls(&limit, "2001:db8::ffff:ffff:ffff:ffff").is_err());
        denied_calls(&limit, "2001:db8:0:1::").unwrap();
    }

    #[test]
    fn all_addresses_together_are_bounded_and_so_is_a_socket() {
        for client in [|number: u32| Some(IpAddr::from(number.to_be_bytes())), |_| None] {
            let limit = limit(1);
            let admitted =
                (0..1_000).filter(|number| limit.take(client(*number), Answer::Denied, true).is_ok());
            // The bucket fills meanwhile.
            let (burst, admitted) = ((SHARED * BURST_SECONDS) as usize, admitted.count());
            assert!((burst..burst + 200).contains(&admitted), "{admitted}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limit = DeniedCalls::new(None);
        for _ in 0..10_000 {
            denied_calls(&limit, "192.0.2.1").unwrap();
        }
        assert_eq!(*limit.summary.lock().unwrap(), Summary::default());
    }

    #[test]
    fn the_summary_names_the_address_that_most_calls_came_from() {
        let mut summary = Summary::default();
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().ok());
        for client in [other, one, None, one, one, other, one] {
            summary.add(client, client == one);
        }
        assert_eq!((summary.calls, summary.of_methods, summary.most_from), (7, 4, one));
    }
}
