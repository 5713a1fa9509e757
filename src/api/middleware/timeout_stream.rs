//! A connection's stream, which ends when the connection has been held for too long.
//!
//! Passes on one request at a time, its head bounded, sends `100 Continue` when a handler wants the body, and reads on
//! for a while after an answer that left a body unread.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection::{Body, Connection, ConnectionLimits, DISCARD_TIMEOUT, DISCARDED};
use super::head_filter::HeadFilter;

/// How much is read at once.
const PIECE: usize = 8 << 10;
/// The interim answer that asks for a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The beginning of actix-http's answer to a first head that did not arrive in time.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 ";

/// When the time is up, reading and writing fail, and actix closes the connection.
pub(crate) struct TimeoutStream<T> {
    stream: T,
    connection: Rc<Connection>,
    timer: Pin<Box<Sleep>>,
    timer_armed: bool,
    /// What is not passed on yet.
    received: BytesMut,
    head: HeadFilter,
    /// Chunks were passed on up to an empty line.
    is_chunk_passed: bool,
    /// What is still to be sent of [`CONTINUE`].
    interim: &'static [u8],
    discard: Option<Discard>,
}

/// Reading on after an answer that left a body unread.
#[derive(Debug)]
struct Discard {
    bytes_left: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> TimeoutStream<T> {
    /// The stream of a connection that was just accepted. Must be called within a worker's runtime.
    pub(crate) fn new(stream: T, limits: Rc<ConnectionLimits>) -> Self {
        let timer = Box::pin(sleep(limits.tick()));
        Self {
            stream,
            connection: Connection::open(limits),
            timer,
            timer_armed: false,
            received: BytesMut::new(),
            head: HeadFilter::new(),
            is_chunk_passed: false,
            interim: &[],
            discard: None,
        }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Checks the timer, which wakes the connection's task at the next tick.
    fn check_timer(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.timer_armed && !self.timer.is_elapsed() {
            return Ok(());
        }
        if self.timer_armed {
            self.connection.check_timeouts()?;
            self.timer.as_mut().reset(Instant::now() + self.connection.limits.tick());
        }
        self.timer_armed = true;
        while self.timer.as_mut().poll(context).is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.connection.limits.tick());
        }
        Ok(())
    }

    /// Reads and drops what comes of a body that is no longer wanted: ready when the connection is to be closed.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let discard = self.discard.get_or_insert_with(|| Discard {
            bytes_left: DISCARDED,
            deadline: Box::pin(sleep(DISCARD_TIMEOUT)),
        });
        if discard.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        self.received = BytesMut::new();
        let mut piece = [MaybeUninit::uninit(); PIECE];
        // Once enough is read, the client is left the rest of the time for taking its answer.
        while discard.bytes_left > 0 {
            let most = discard.bytes_left.min(piece.len());
            let mut buffer = ReadBuf::uninit(&mut piece[..most]);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            discard.bytes_left -= buffer.filled().len();
        }
        Poll::Pending
    }

    /// Passes on what has been received, one request at a time: actix-http 3.20 answers in the version, and with or without a
    /// body, as the head that it read last asks for.
    fn poll_pass(&mut self, context: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        let connection = &self.connection;
        if connection.body_awaited.take() {
            self.head.restart();
        }
        let next = &mut self.received[..];
        let length = next.len().min(buffer.remaining());
        let next = &mut next[..length];
        let passed = match connection.body.get() {
            _ if connection.head_passed.get() => None,
            Body::Length(left) if left > 0 => {
                let length = usize::try_from(left).map_or(length, |left| left.min(length));
                connection.body.set(Body::Length(left - length as u64));
                Some(length)
            }
            Body::Chunks if self.is_chunk_passed => {
                // It may have been the last one, which shows when this task gives way.
                self.is_chunk_passed = false;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Body::Chunks => self.head.accept(next).map(|(length, is_end)| {
                self.is_chunk_passed = is_end;
                length
            }),
            _ if !connection.takes_request() => None,
            _ => match self.head.accept(next) {
                Some((length, is_whole)) => {
                    connection.head_passed.set(is_whole);
                    Some(length)
                }
                None => {
                    // Only actix-http knows when earlier requests are answered. A header without end makes it say 431
                    // in its turn.
                    buffer.initialize_unfilled().fill(b'x');
                    buffer.advance(buffer.remaining());
                    return Poll::Ready(());
                }
            },
        };
        let Some(length) = passed else {
            connection.reader.set(Some(context.waker().clone()));
            return Poll::Pending;
        };
        buffer.put_slice(&self.received[..length]);
        self.received.advance(length);
        if self.received.is_empty() {
            // An idle connection holds no buffer.
            self.received = BytesMut::new();
        }
        self.connection.unanswered.set(true);
        Poll::Ready(())
    }

    /// Writes to the client and notes whether it takes it.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.connection.stalled.set(written.is_pending());
        if written.is_ready() {
            self.connection.quiet.set(0);
        }
        written
    }

    /// Sends what is left of an interim answer.
    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = ready!(self.poll_send(context, self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = &self.interim[written..];
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for TimeoutStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_timer(context)?;
        if self.connection.discarding.get() {
            return self.poll_discard(context).map(Ok);
        }
        if self.received.is_empty() {
            // Also while nothing is passed on: a client that disconnects is noticed.
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut read = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.received.extend_from_slice(read.filled());
        }
        self.poll_pass(context, buffer).map(Ok)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimeoutStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_timer(context)?;
        ready!(self.poll_interim(context))?;
        if bytes.starts_with(TIMED_OUT) && !self.connection.has_served.get() {
            self.connection.timed_out.set(true);
        }
        self.poll_send(context, bytes)
    }

    /// Called by actix-http when all answers so far are written, so that an interim answer is in its place.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.continue_due.take() {
            self.interim = CONTINUE;
        }
        ready!(self.poll_interim(context))?;
        if self.connection.discarding.get() && self.discard.is_none() {
            // Begins to count the time.
            let _ = self.poll_discard(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
