//! What is known of one connection, and how long it may be held without getting anywhere.
//!
//! actix-http times the head of a connection's first request and its closing. The rest is timed here: idle time, the
//! heads of later requests, a chunked body that is no longer read, and a client that takes nothing. Time is counted in
//! ticks of one timer a connection, so that a request costs neither a clock reading nor a timer. Does not read or write:
//! `timeout_stream` does.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use crate::auth::LastToken;

/// Most bytes that are still read of a body after the answer.
pub(super) const DISCARDED: usize = 64 << 10;
/// How long they are read after the answer.
pub(super) const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may be held, and how many there may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionLimits {
    /// From the first byte of a request to the end of its head, and from there to the end of its body.
    pub request: Duration,
    /// While the client takes nothing of an answer.
    pub write: Duration,
    /// While nothing at all is under way.
    pub idle: Duration,
    /// How many connections are served at once.
    pub most: usize,
    /// How many are open, over all workers.
    pub open: Arc<AtomicUsize>,
    /// The service is stopping: each answer is the last on its connection.
    pub stopping: Arc<AtomicBool>,
}

impl ConnectionLimits {
    /// Between two checks of a connection.
    pub(super) fn tick(&self) -> Duration {
        (self.request.min(self.write) / 2).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }

    fn ticks(&self, limit: Duration) -> u32 {
        u32::try_from(limit.as_millis().div_ceil(self.tick().as_millis())).unwrap_or(u32::MAX)
    }
}

/// How a request's body ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none, or it has come.
    #[default]
    None,
    /// After so many bytes more.
    Length(u64),
    /// With its last chunk.
    Chunks,
}

/// What is known of one connection.
#[derive(Default)]
pub(crate) struct Connection {
    pub(super) limits: Rc<ConnectionLimits>,
    /// It is one more than may be served.
    pub(super) over_limit: bool,
    /// Requests that a handler works on. Those have time limits of their own.
    in_flight: Cell<u32>,
    /// Bytes have come that are not yet a request.
    pub(super) unanswered: Cell<bool>,
    /// The client has not taken what was written last.
    pub(super) stalled: Cell<bool>,
    /// Ticks since a request arrived or the client took something.
    pub(super) quiet: Cell<u32>,
    /// The last request has come: nothing that follows it on this connection is read.
    pub(super) finished: Cell<bool>,
    /// What is still to come of the body of the request in flight.
    pub(super) body: Cell<Body>,
    /// The handler has taken all of the body that was passed on, and waits for more.
    pub(super) body_awaited: Cell<bool>,
    /// A head was passed on, and no request has arrived for it yet.
    pub(super) head_passed: Cell<bool>,
    /// Woken when a request has arrived, or was answered.
    pub(super) reader: Cell<Option<Waker>>,
    /// A handler wants the body that its client holds back for `100 Continue`, which is to be sent before anything else.
    pub(super) continue_due: Cell<bool>,
    /// The answer was decided without the rest of a body, of which [`DISCARDED`] bytes more are read within
    /// [`DISCARD_TIMEOUT`], so that the client can take the answer; then the connection is closed.
    pub(super) discarding: Cell<bool>,
    /// A head did not arrive in time.
    pub(super) timed_out: Cell<bool>,
    /// The token that was verified last.
    pub(crate) last_token: LastToken,
    /// A request has arrived.
    pub(super) has_served: Cell<bool>,
}

impl Connection {
    pub(super) fn open(limits: Rc<ConnectionLimits>) -> Rc<Self> {
        let over_limit = limits.open.fetch_add(1, Ordering::Relaxed) >= limits.most;
        let mut connection = Self::default();
        (connection.limits, connection.over_limit) = (limits, over_limit);
        Rc::new(connection)
    }

    /// A request has arrived and is in flight until the returned value is dropped.
    pub(super) fn in_flight(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.unanswered.set(false);
        self.has_served.set(true);
        self.head_passed.set(false);
        self.wake_reader();
        InFlight(Rc::clone(self))
    }

    /// Whether another request may be passed on: none is in flight, and the last one has not come (RFC 9112 §9.6).
    pub(super) fn takes_request(&self) -> bool {
        self.in_flight.get() == 0 && !self.finished.get()
    }

    /// The handler waits for more of the body.
    pub(super) fn await_body(&self) {
        self.body_awaited.set(true);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Counts a tick; an error when the connection has been held for longer than it may.
    pub(super) fn check_timeouts(&self) -> io::Result<()> {
        if self.in_flight.get() > 0 {
            self.quiet.set(0);
            return Ok(());
        }
        let quiet = self.quiet.get().saturating_add(1);
        self.quiet.set(quiet);
        let limit = match (self.stalled.get(), self.unanswered.get()) {
            (true, _) => self.limits.write,
            (false, true) => self.limits.request,
            (false, false) => self.limits.idle,
        };
        if quiet <= self.limits.ticks(limit) {
            return Ok(());
        }
        self.timed_out.set(self.unanswered.get() && !self.stalled.get());
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that a handler works on.
pub(super) struct InFlight(Rc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        // Its body, if it had one, has been read by now, or never will be.
        self.0.unanswered.set(false);
        self.0.quiet.set(0);
        self.0.body.set(Body::None);
        self.0.wake_reader();
    }
}

/// An IPv4 client of a listener on `[::]` by its IPv4 address, and not as `::ffff:192.0.2.1`.
pub(crate) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests;
