//! A request's body on its way to a handler, which may leave it unread.
//!
//! actix-http sends `100 Continue` before a handler has decided anything, reads an unwanted chunked body without end, and
//! takes everything behind an offer of a WebSocket for body. So each body passes here: `100 Continue` is sent when a handler
//! begins to read (RFC 9110 §10.1.1), it ends where its length says, and `connection_limits` learns whether it has ended.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::{Method, header};
use bytes::Bytes;
use futures_util::Stream;

use super::connection::{Body, Connection, DISCARDED};

/// How often a task gives way before a body counts as not received: twice actix-http asks for the answer before it reads on.
const TURNS: u32 = 3;

/// The body of one request, as the middleware keeps it.
#[derive(Clone)]
pub(super) struct IncomingBody(Rc<State>);

struct State {
    payload: RefCell<Payload>,
    /// How much is to come, where a length says so. Chunks end by themselves.
    left: Cell<Option<u64>>,
    has_ended: Cell<bool>,
    /// The client waits for `100 Continue`.
    is_held_back: Cell<bool>,
    connection: Rc<Connection>,
}

impl IncomingBody {
    /// Puts itself between actix-http and the handlers. `None` for a request without a body.
    pub(super) fn intercept(request: &mut ServiceRequest, connection: &Rc<Connection>) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.trim().parse().ok());
        let left = if is_chunked { None } else { Some(length.unwrap_or(0)) };
        connection.body.set(left.map_or(Body::Chunks, Body::Length));
        let is_held_back = request.head().expect() && request.method() != Method::CONNECT;
        let body = Self(Rc::new(State {
            payload: RefCell::new(payload),
            left: Cell::new(left),
            has_ended: Cell::new(left == Some(0)),
            is_held_back: Cell::new(is_held_back),
            connection: Rc::clone(connection),
        }));
        request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
        Some(body)
    }

    /// Whether all of it has come, after reading what has: nothing is waited for.
    pub(super) async fn has_ended(&self) -> bool {
        self.0.is_held_back.set(false);
        let (mut read, mut turns) = (0, TURNS);
        poll_fn(|context| {
            while !self.0.has_ended.get() && read <= DISCARDED {
                match self.poll_payload(context) {
                    Poll::Ready(Some(Ok(bytes))) => read += bytes.len(),
                    Poll::Ready(_) => break,
                    Poll::Pending if turns == 0 => break,
                    Poll::Pending => {
                        turns -= 1;
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(())
        })
        .await;
        self.0.has_ended.get()
    }

    fn poll_payload(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let state = &self.0;
        if state.has_ended.get() {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut *state.payload.borrow_mut()).poll_next(context);
        match polled {
            Poll::Ready(None) => state.has_ended.set(true),
            Poll::Ready(Some(Ok(ref bytes))) => {
                if let Some(left) = state.left.get() {
                    let left = left.saturating_sub(bytes.len() as u64);
                    state.left.set(Some(left));
                    state.has_ended.set(left == 0);
                }
            }
            _ => {}
        }
        if state.has_ended.get() {
            state.connection.body.set(Body::None);
        }
        polled
    }
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let connection = &self.0.connection;
        if self.0.is_held_back.take() {
            connection.continue_due.set(true);
        }
        if connection.continue_due.get() {
            // It is sent when this task gives way, or once the client takes what was sent before.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.poll_payload(context);
        if polled.is_pending() {
            connection.await_body();
        }
        polled
    }
}
