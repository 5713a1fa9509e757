//! Requests that the HTTP parser rejects with a bare 400, 408 or 431, which reach no handler and have no request id.
//!
//! They are counted by reason. A client needs nothing but a connection for each, so at most ten a second are logged.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_http::error::{DispatchError, ParseError};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use strum::{IntoStaticStr, VariantArray};

use super::connection::Connection;
use crate::audit::Peer;
use crate::telemetry::metrics::Counter;

/// The target of a log line about one request.
pub(super) const TARGET: &str = "virksomhedslogin::request";
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Why a request could not be read. The names are labels in the metrics.
#[derive(Debug, Clone, Copy, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Unread {
    /// It is no HTTP, or two readers could understand it differently (400).
    Malformed,
    /// The head is too long, or has too many lines (431).
    HeadTooLarge,
    /// The head did not arrive in time (408 for a connection's first one).
    TimedOut,
}

impl Unread {
    /// Why the parser ended the connection, if it did.
    pub(crate) fn of(ended: &Result<(), DispatchError>, connection: &Connection) -> Option<Self> {
        match ended {
            _ if connection.timed_out.get() => Some(Self::TimedOut),
            Err(DispatchError::Parse(ParseError::TooLarge)) => Some(Self::HeadTooLarge),
            Err(DispatchError::Parse(_)) => Some(Self::Malformed),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct UnreadRequests {
    counters: [Counter; Unread::VARIANTS.len()],
    lines: DefaultDirectRateLimiter,
    not_logged: AtomicU64,
}

impl Default for UnreadRequests {
    fn default() -> Self {
        let lines = RateLimiter::direct(Quota::per_second(LINES_PER_SECOND));
        Self { counters: Default::default(), lines, not_logged: AtomicU64::new(0) }
    }
}

impl UnreadRequests {
    pub(crate) fn count(&self, reason: Unread, peer: Peer) {
        self.counters[reason as usize].inc();
        if self.lines.check().is_err() {
            self.not_logged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let name: &str = reason.into();
        log::info!(
            target: TARGET,
            remote:% = peer, reason = name, notLogged = self.not_logged.swap(0, Ordering::Relaxed);
            "a request could not be read"
        );
    }

    /// The number of requests by reason.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Unread::VARIANTS.iter().zip(&self.counters).map(|(reason, counter)| (reason.into(), counter.get()))
    }
}
