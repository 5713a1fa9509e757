//! What becomes known of one call while it is handled.
//!
//! The middleware opens a [`RequestContext`] for every request; the guard, the handlers and the other
//! middleware note what they learn, and the log line and the audit line are made of it. Also puts on every answer the
//! headers that name the call.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use super::forwarded::Sender;
use crate::api::problem::Problem;
use crate::api::request_id::{self, RequestId};
use crate::api::state::ApiState;
use crate::audit::{AuditLine, AuditWriter, Peer};
use crate::auth::Caller;
use crate::domain::access::Method;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;
use crate::telemetry::trace_context::{self, Trace};

/// One request and what is known of it so far.
pub(crate) struct RequestContext {
    /// The state of the API, on its own listener: only there calls are audited, denied and counted.
    pub api: Option<web::Data<ApiState>>,
    pub request_id: RequestId,
    pub trace: Trace,
    /// When the request's head had been read.
    pub started: Instant,
    /// The caller, as far as trusted proxies name it, else the peer.
    pub remote: Peer,
    pub record: RefCell<RequestRecord>,
}

/// What was found out while the request was handled.
#[derive(Debug, Default)]
pub(crate) struct RequestRecord {
    /// The method that was reached. Without one, no audit line is due.
    pub method: Option<Method>,
    /// The caller, when the token was good.
    pub caller: Option<Arc<Caller>>,
    /// The rule that decided.
    pub reason: Option<String>,
    pub authorised: bool,
    /// The company asked for, when it was named by a CVR number.
    pub cvr: Option<Cvr>,
    /// Why the service could not answer; for the log.
    pub cause: Option<String>,
    /// The answer's `fejlkode`, when it is an error.
    pub code: Option<&'static str>,
    /// A line that sums up takes the place of this call's own in log and audit file.
    pub is_summed_up: bool,
    /// Its audit line is written.
    pub is_audited: bool,
}

pub(crate) type SharedContext = Rc<RequestContext>;

impl RequestContext {
    fn new(request: &HttpRequest) -> SharedContext {
        let writer = request.app_data::<Rc<AuditWriter>>();
        let api: Option<web::Data<ApiState>> = writer.and_then(|_| request.app_data().cloned());
        Rc::new(Self {
            request_id: RequestId::of(request.headers()),
            trace: Trace::of(request.headers()),
            started: Instant::now(),
            remote: Sender::of(request, api.as_ref().map(|api| api.get_ref())).remote,
            api,
            record: RefCell::default(),
        })
    }

    /// The context of this request, which all others find with [`RequestContext::of`].
    pub(super) fn open(request: &ServiceRequest) -> SharedContext {
        let context = Self::new(request.request());
        request.extensions_mut().insert(Rc::clone(&context));
        context
    }

    /// The context that was opened for this request.
    pub(crate) fn of(request: &HttpRequest) -> SharedContext {
        let found = request.extensions().get::<SharedContext>().cloned();
        found.unwrap_or_else(|| Self::new(request))
    }

    /// The audit line of this call and its answer.
    pub(crate) fn audit_line(
        &self,
        time: Timestamp,
        method: &str,
        status: StatusCode,
        code: Option<&'static str>,
    ) -> Vec<u8> {
        let record = self.record.borrow();
        let reason = record.reason.as_deref().or(record.cause.as_deref());
        let caller = record.caller.as_deref();
        AuditLine {
            request_id: Some(self.request_id.as_str()),
            metode: Some(method),
            cvr_nummer: record.cvr,
            trace_id: Some(self.trace.id()),
            ..AuditLine::new(time, (status, code), record.authorised, reason, caller, self.remote)
        }
        .write()
    }

    pub(crate) fn note(&self, write: impl FnOnce(&mut RequestRecord)) {
        if let Ok(mut record) = self.record.try_borrow_mut() {
            write(&mut record);
        }
    }

    /// The answer that this call ends in for this reason.
    pub(crate) fn render(&self, problem: &Problem) -> HttpResponse {
        self.note(|record| record.code = Some(problem.code()));
        problem.render(self.request_id.as_str())
    }

    /// Puts the names of this call on its answer.
    pub(super) fn name(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(self.request_id.as_str()) {
            headers.insert(request_id::HEADER, id);
        }
        if let Some(trace) = self.trace.answer() {
            headers.insert(trace_context::HEADER, trace);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}
