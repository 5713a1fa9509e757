//! Requests that the HTTP parser refuses: a bare 400, 408 or 431, which reaches no handler and has no request id.
//!
//! They are counted by reason, and logged with the client's address. A client needs a connection for each of them and nothing
//! else, so no more than ten a second are logged one by one.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_http::error::{DispatchError, ParseError};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::connection::Connection;
use crate::audit::peer::Peer;
use crate::telemetry::metrics::Counter;

/// Most log lines about such requests in a second.
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Why a request could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is no HTTP, or two readers could understand it differently (400).
    Malformed,
    /// The head is too long, or has too many lines (431).
    HeadTooLarge,
    /// The head did not arrive in time (408 for a connection's first one).
    TimedOut,
}

impl Unread {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Malformed, Self::HeadTooLarge, Self::TimedOut];

    /// The label in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head_too_large",
            Self::TimedOut => "timed_out",
        }
    }

    /// Why the connection that ended so was the parser's to end, if it was.
    pub fn of(ended: &Result<(), DispatchError>, connection: &Connection) -> Option<Self> {
        match ended {
            _ if connection.has_timed_out() => Some(Self::TimedOut),
            Err(DispatchError::Parse(ParseError::TooLarge)) => Some(Self::HeadTooLarge),
            Err(DispatchError::Parse(_)) => Some(Self::Malformed),
            _ => None,
        }
    }
}

/// Counts and logs them.
#[derive(Debug)]
pub struct UnreadRequests {
    counters: [Counter; Unread::ALL.len()],
    lines: DefaultDirectRateLimiter,
    not_logged: AtomicU64,
}

impl Default for UnreadRequests {
    fn default() -> Self {
        Self {
            counters: Default::default(),
            lines: RateLimiter::direct(Quota::per_second(LINES_PER_SECOND)),
            not_logged: AtomicU64::new(0),
        }
    }
}

impl UnreadRequests {
    /// One more.
    pub fn count(&self, reason: Unread, peer: Peer) {
        self.counters[reason as usize].inc();
        if self.lines.check().is_err() {
            self.not_logged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        log::info!(
            target: "virksomhedslogin::request",
            remote:% = peer, reason = reason.name(), notLogged = self.not_logged.swap(0, Ordering::Relaxed);
            "a request could not be read"
        );
    }

    /// Every reason and how often it was the one.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Unread::ALL.into_iter().zip(&self.counters).map(|(reason, counter)| (reason.name(), counter.get()))
    }
}
