//! What becomes known of one call while it is handled.
//!
//! The boundary opens an [`RequestContext`] for every request; the guard and the handlers write down what they learn;
//! the boundary makes the log line and the audit line of it when the answer is ready.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage, HttpRequest};

use super::request_id::RequestId;
use crate::audit::Entry;
use crate::audit::peer::Peer;
use crate::auth::Caller;
use crate::domain::access::Method;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;
use crate::telemetry::trace_context::Trace;

/// One request and what is known of it so far.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that it belongs to.
    pub trace: Trace,
    /// When the request's head had been read.
    pub started: Instant,
    /// The rest, known bit by bit.
    pub record: RefCell<RequestRecord>,
}

/// What the guard and the handlers found out.
#[derive(Debug, Default)]
pub(crate) struct RequestRecord {
    /// The method that was reached. Without one, no audit line is due.
    pub method: Option<Method>,
    /// Who called, when the token was good.
    pub caller: Option<Arc<Caller>>,
    /// The rule that let in or refused.
    pub reason: Option<String>,
    /// Whether the guard let the caller in.
    pub authorised: bool,
    /// The company asked for, when it was named by a CVR number.
    pub cvr: Option<Cvr>,
    /// Why the service could not answer; for the log.
    pub cause: Option<String>,
}

/// An exchange as the parts of one request share it.
pub(crate) type SharedContext = Rc<RequestContext>;

impl RequestContext {
    /// Opens the exchange of a request with these headers.
    pub(crate) fn open(headers: &HeaderMap) -> SharedContext {
        Rc::new(Self {
            request_id: RequestId::of(headers),
            trace: Trace::of(headers),
            started: Instant::now(),
            record: RefCell::default(),
        })
    }

    /// The exchange that the boundary opened for this request.
    pub(crate) fn of(request: &HttpRequest) -> SharedContext {
        let found = request.extensions().get::<SharedContext>().cloned();
        found.unwrap_or_else(|| Self::open(request.headers()))
    }

    /// The audit line of this call, which the answer with this status and `fejlkode` goes with.
    pub(crate) fn audit_line(
        &self,
        time: Timestamp,
        method: &str,
        status: StatusCode,
        code: Option<&'static str>,
        remote: Peer,
    ) -> Vec<u8> {
        let record = self.record.borrow();
        Entry {
            time,
            method,
            status,
            code,
            remote,
            request_id: self.request_id.as_str(),
            trace_id: self.trace.id(),
            authorised: record.authorised,
            reason: record.reason.as_deref().or(record.cause.as_deref()),
            cvr: record.cvr,
            caller: record.caller.as_deref(),
        }
        .line()
    }

    /// Writes something down.
    pub(crate) fn note(&self, write: impl FnOnce(&mut RequestRecord)) {
        if let Ok(mut record) = self.record.try_borrow_mut() {
            write(&mut record);
        }
    }
}
