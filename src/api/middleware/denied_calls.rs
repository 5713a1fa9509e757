//! Answers to clients without a good token: beyond their bucket a 429, and one line a second for all of them.

use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::{rt, web};

use super::request_context::RequestContext;
use crate::api::denied_calls::Answer;
use crate::api::problem::{Kind, Problem};
use crate::api::state::ApiState;
use crate::audit::AuditLine;
use crate::audit::Peer;

/// The `aarsag` of the line that sums up.
const REASON: &str = "more refused calls than limits.refused_per_second allows";
/// Between two lines that sum up.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn limit(context: &RequestContext, response: ServiceResponse) -> ServiceResponse {
    let Some(api) = &context.api else { return response };
    let (answer, is_method) = {
        let record = context.record.borrow();
        if record.caller.is_some() {
            return response;
        }
        (if record.code.is_some() { Answer::Denied } else { Answer::Public }, record.method.is_some())
    };
    let Err(seconds) = api.denied_calls.take(context.remote.0, answer, is_method) else {
        return response;
    };
    context.note(|record| record.is_summed_up = true);
    if answer == Answer::Public {
        return response;
    }
    let answer = context.render(&Problem::retry_after(Kind::TooManyRequests, seconds));
    response.into_response(answer)
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
    let Some(summary) = api.denied_calls.take_summary() else { return };
    let remote = Peer(summary.most_from);
    log::warn!(
        calls = summary.calls, remote:% = remote;
        "clients without a good token call more often than limits.refused_per_second allows; these calls have no line of \
         their own"
    );
    if summary.of_methods > 0 {
        let (status, code, _) = Kind::TooManyRequests.row();
        let line = AuditLine {
            antal: Some(summary.of_methods),
            ..AuditLine::new(api.clock.now(), (status, Some(code)), false, Some(REASON), None, remote)
        };
        if let Err(error) = api.audit.write_alone(&line.write()) {
            api.metrics.audit_failures.inc();
            log::error!(
                "the audit line of {} denied calls could not be written: {error}",
                summary.of_methods
            );
        }
    }
}
