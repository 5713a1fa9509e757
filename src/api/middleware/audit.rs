//! The audit line of every call that reached a method, written before its answer leaves.
//!
//! What cannot be audited is not answered. Calls that `denied_calls` sums up have no line of their own.

use std::fmt;
use std::rc::Rc;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;

use super::request_context::{RequestContext, SharedContext};
use crate::api::denied_calls::Answer;
use crate::api::problem::Problem;
use crate::api::state::ApiState;
use crate::audit::AuditWriter;

/// Seconds after which a caller may try again while the audit line cannot be written.
const RETRY_SECONDS: u32 = 5;
/// The status in the audit line of a call whose client closed the connection; HTTP has none.
const CLIENT_GONE: u16 = 499;

/// Writes the audit line of the call; the answer is this one, or a 503.
pub(super) async fn write(context: &RequestContext, response: ServiceResponse) -> ServiceResponse {
    let writer = response.request().app_data::<Rc<AuditWriter>>();
    let (Some(api), Some(writer)) = (&context.api, writer) else { return response };
    let (method, code, is_summed_up) = {
        let record = context.record.borrow();
        (record.method, record.code, record.is_summed_up)
    };
    let Some(method) = method.filter(|_| !is_summed_up) else { return response };
    let line = context.audit_line(api.clock.now(), method.name(), response.status(), code);
    match written(api, context, writer.write(&line).await) {
        Ok(()) => response,
        Err(problem) => response.into_response(context.render(&problem)),
    }
}

/// Notes whether the audit line of a call was written; when it was not, its answer is this problem.
pub(crate) fn written(
    api: &ApiState,
    context: &RequestContext,
    written: Result<(), impl fmt::Display>,
) -> Result<(), Problem> {
    context.note(|record| record.is_audited = written.is_ok());
    written.map_err(|error| {
        api.metrics.audit_failures.inc();
        context.note(|record| record.cause = Some(format!("the audit line could not be written: {error}")));
        Problem::unavailable(RETRY_SECONDS)
    })
}

/// A call that has no answer yet. When its client disconnects before it has one, its audit line is written nevertheless:
/// what was asked for may have been done.
pub(super) struct Unanswered(Option<SharedContext>);

impl Unanswered {
    pub(super) fn new(context: &SharedContext) -> Self {
        Self(Some(Rc::clone(context)))
    }

    pub(super) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some(context) = &self.0 else { return };
        let Some(api) = &context.api else { return };
        let record = context.record.borrow();
        let (Some(method), Ok(status)) = (record.method, StatusCode::from_u16(CLIENT_GONE)) else { return };
        let remote = context.remote;
        if record.caller.is_none() && api.denied_calls.take(remote.0, Answer::Denied, true).is_err() {
            return;
        }
        let line = context.audit_line(api.clock.now(), method.name(), status, None);
        if let Err(error) = api.audit.write_alone(&line) {
            api.metrics.audit_failures.inc();
            log::error!(
                remote:% = remote;
                "the audit line of a call that was given up could not be written: {error}"
            );
        }
    }
}
