//! A connection's patience: how long it may be held without getting anywhere.
//!
//! actix-http times the head of a connection's first request, its idle time and its closing. What it leaves untimed is
//! watched here: the heads of later requests, a chunked body that nobody reads any more, and a reader who takes nothing.
//! Time is counted in ticks of a timer that each connection has, so that a request costs no look at the clock and no
//! timer of its own.
//!
//! Also counts the connections, so that one above the number allowed is told so (503) and closed; bounds a request's head
//! and what is read of a body after the answer; and sends `100 Continue` when a handler wants the body.

mod head;
mod timeout_stream;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use actix_web::dev::Extensions;

pub(crate) use timeout_stream::TimeoutStream;

/// Most bytes that are still read of a body after the answer.
pub(crate) const DISCARDED: usize = 64 << 10;
/// How long they are read after the answer.
pub(crate) const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may be held, and how many there may be.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// From the first byte of a request to the end of its head, and from there to the end of its body.
    pub request: Duration,
    /// While the client takes nothing of an answer.
    pub write: Duration,
    /// While nothing at all is under way.
    pub idle: Duration,
    /// How many connections are served at once.
    pub most: usize,
    open: Arc<AtomicUsize>,
}

impl ConnectionLimits {
    /// With nothing open yet.
    pub fn new(request: Duration, write: Duration, idle: Duration, most: usize) -> Self {
        Self { request, write, idle, most, open: Arc::default() }
    }

    /// How often a connection is looked at. A limit is kept to within one such time.
    fn tick(&self) -> Duration {
        (self.request.min(self.write) / 2).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }

    fn ticks(&self, limit: Duration) -> u32 {
        u32::try_from(limit.as_millis().div_ceil(self.tick().as_millis())).unwrap_or(u32::MAX)
    }
}

/// How a request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none, or it has come.
    None,
    /// After so many bytes more.
    Length(u64),
    /// With its last chunk.
    Chunks,
}

/// What is known of one connection.
pub struct Connection {
    patience: Rc<ConnectionLimits>,
    /// It is one more than may be served.
    over_limit: bool,
    /// Requests that a handler works on. Those have time limits of their own.
    in_flight: Cell<u32>,
    /// Bytes have come that are not yet a request.
    unanswered: Cell<bool>,
    /// The client has not taken what was written last.
    stalled: Cell<bool>,
    /// Ticks since a request arrived or the client took something.
    quiet: Cell<u32>,
    /// The last request has come.
    is_finished: Cell<bool>,
    /// Another one came after it.
    is_over: Cell<bool>,
    /// What is still to come of the body of the request in hand.
    body: Cell<Body>,
    /// The handler has taken all of the body that was passed on, and waits for more.
    body_awaited: Cell<bool>,
    /// A head was passed on, and no request has arrived for it yet.
    is_head_passed: Cell<bool>,
    /// Who reads on when a request has arrived, or was answered.
    reader: Cell<Option<Waker>>,
    /// A handler wants the body that its client holds back until it is told to go on.
    continue_due: Cell<bool>,
    /// What still comes of a body is worth nothing: the answer has been decided without it.
    is_discarding: Cell<bool>,
    /// A head did not arrive in time.
    timed_out: Cell<bool>,
    /// A request has arrived.
    has_served: Cell<bool>,
}

impl Connection {
    fn open(patience: Rc<ConnectionLimits>) -> Rc<Self> {
        let others = patience.open.fetch_add(1, Ordering::Relaxed);
        let over_limit = others >= patience.most;
        Rc::new(Self {
            patience,
            over_limit,
            in_flight: Cell::new(0),
            unanswered: Cell::new(false),
            stalled: Cell::new(false),
            quiet: Cell::new(0),
            is_finished: Cell::new(false),
            is_over: Cell::new(false),
            body: Cell::new(Body::None),
            body_awaited: Cell::new(false),
            is_head_passed: Cell::new(false),
            reader: Cell::new(None),
            continue_due: Cell::new(false),
            is_discarding: Cell::new(false),
            timed_out: Cell::new(false),
            has_served: Cell::new(false),
        })
    }

    /// Makes the connection known to its requests.
    pub fn introduce<T>(stream: &TimeoutStream<T>, to: &mut Extensions) {
        to.insert(Rc::clone(stream.connection()));
    }

    /// Whether it is one more than may be served.
    pub fn over_limit(&self) -> bool {
        self.over_limit
    }

    /// A request has arrived and is in hand until the returned value is dropped.
    pub fn in_flight(self: &Rc<Self>) -> InHand {
        self.in_flight.set(self.in_flight.get() + 1);
        self.unanswered.set(false);
        self.has_served.set(true);
        self.is_head_passed.set(false);
        self.wake_reader();
        InHand(Rc::clone(self))
    }

    /// The request in hand is the last one: nothing that follows it on this connection is answered.
    pub fn finish(&self) {
        self.is_finished.set(true);
    }

    /// The request in hand has this body.
    pub fn expect_body(&self, body: Body) {
        self.body.set(body);
    }

    /// The handler waits for more of the body.
    pub fn await_body(&self) {
        self.body_awaited.set(true);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The body of the request in hand is not read to its end. [`DISCARDED`] bytes more are read within
    /// [`DISCARD_TIMEOUT`], so that the client can take the answer; then the connection is closed.
    pub fn discard(&self) {
        self.is_discarding.set(true);
    }

    /// Asks for `100 Continue` to be sent before anything else is.
    pub fn request_continue(&self) {
        self.continue_due.set(true);
    }

    /// Whether `100 Continue` was asked for and is not sent yet.
    pub fn is_continue_due(&self) -> bool {
        self.continue_due.get()
    }

    /// Whether the connection ended because a head did not arrive in time.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out.get()
    }

    /// Whether the last request has come before this one, which then gets no answer and ends the connection (RFC 9112
    /// §9.6). actix would answer it, and for want of a better place to say no, it must never be finished.
    pub fn is_over(&self) -> bool {
        let is_over = self.is_finished.get();
        self.is_over.set(is_over);
        is_over
    }

    fn received(&self) {
        self.unanswered.set(true);
    }

    fn taken(&self) {
        self.stalled.set(false);
        self.quiet.set(0);
    }

    fn stalled(&self) {
        self.stalled.set(true);
    }

    /// Judges the connection once more.
    ///
    /// # Errors
    /// When it has been held for longer than it may.
    fn check_timeouts(&self) -> io::Result<()> {
        if self.in_flight.get() > 0 {
            self.quiet.set(0);
            return Ok(());
        }
        let quiet = self.quiet.get().saturating_add(1);
        self.quiet.set(quiet);
        let limit = match (self.stalled.get(), self.unanswered.get()) {
            (true, _) => self.patience.write,
            (false, true) => self.patience.request,
            (false, false) => self.patience.idle,
        };
        if quiet <= self.patience.ticks(limit) {
            return Ok(());
        }
        self.timed_out.set(self.unanswered.get() && !self.stalled.get());
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.patience.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that a handler works on.
pub struct InHand(Rc<Connection>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        // Its body, if it had one, has been read by now, or never will be.
        self.0.unanswered.set(false);
        self.0.quiet.set(0);
        self.0.body.set(Body::None);
        self.0.wake_reader();
    }
}

/// An IPv4 caller of a listener on `[::]` by its IPv4 address, and not as `::ffff:192.0.2.1`.
pub(crate) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of a second; 2 s for a request, 4 s for a writer, 6 s for an idle one.
    fn patience(most: usize) -> Rc<ConnectionLimits> {
        let seconds = Duration::from_secs;
        Rc::new(ConnectionLimits::new(seconds(2), seconds(4), seconds(6), most))
    }

    /// How many ticks it lasts.
    fn lasts(connection: &Connection) -> usize {
        (0..100).take_while(|_| connection.check_timeouts().is_ok()).count()
    }

    #[test]
    fn each_state_has_its_own_limit() {
        let patience = patience(1);
        assert_eq!(lasts(&Connection::open(Rc::clone(&patience))), 6);
        let receiving = Connection::open(Rc::clone(&patience));
        receiving.received();
        assert_eq!(lasts(&receiving), 2);
        let stalled = Connection::open(Rc::clone(&patience));
        stalled.received();
        stalled.stalled();
        assert_eq!(lasts(&stalled), 4);
    }

    #[test]
    fn more_bytes_of_the_same_request_win_no_time() {
        let connection = Connection::open(patience(1));
        for _ in 0..2 {
            connection.received();
            assert!(connection.check_timeouts().is_ok());
        }
        connection.received();
        assert!(connection.check_timeouts().is_err());
    }

    #[test]
    fn a_request_in_hand_may_take_its_time_and_what_follows_it_starts_anew() {
        let connection = Connection::open(patience(1));
        connection.received();
        let in_flight = connection.in_flight();
        connection.received();
        assert_eq!(lasts(&connection), 100);
        drop(in_flight);
        assert_eq!(lasts(&connection), 6);
    }

    #[test]
    fn a_client_that_takes_a_byte_now_and_then_is_not_stalled() {
        let connection = Connection::open(patience(1));
        for _ in 0..20 {
            connection.stalled();
            assert!(connection.check_timeouts().is_ok());
            connection.taken();
        }
        assert_eq!(lasts(&connection), 6);
    }

    #[test]
    fn one_more_than_allowed_is_surplus_until_one_goes() {
        let patience = patience(2);
        let open = || Connection::open(Rc::clone(&patience));
        let (one, other) = (open(), open());
        assert!(!one.over_limit() && !other.over_limit());
        assert!(open().over_limit());
        drop(one);
        assert!(!open().over_limit());
    }
}
