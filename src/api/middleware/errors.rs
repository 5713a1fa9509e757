//! Every error as the contract's problem: a handler's, the framework's own, and a handler's panic.

use std::panic::AssertUnwindSafe;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use futures_util::FutureExt;

use super::request_context::RequestContext;
use crate::api::problem::{Kind, Problem};

/// Marks an error answer whose body is meant as it is: a health check names what is missing, to operators only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassThroughError;

pub(super) fn render(context: &RequestContext, response: ServiceResponse) -> ServiceResponse {
    match problem_of(response.response()) {
        Some(problem) => response.into_response(context.render(&problem)),
        None => response,
    }
}

/// Around the handlers of one path: a panic becomes a 500, its text a log line's `cause`.
pub(crate) async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let kept = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answered) => Ok(answered?.map_into_boxed_body()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            let cause = format!("a handler panicked: {text}");
            RequestContext::of(&kept).note(|record| record.cause = Some(cause));
            let answer = HttpResponse::from_error(Problem::new(Kind::Internal));
            Ok(ServiceResponse::new(kept, answer))
        }
    }
}

/// The problem that this answer is to be, unless it is none or meant as it is.
fn problem_of(answer: &HttpResponse) -> Option<Problem> {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let own = answer.error().and_then(|error| error.as_error::<Problem>()).cloned();
    own.or_else(|| {
        let is_meant = answer.extensions().contains::<PassThroughError>();
        (!is_meant).then(|| Problem::of_framework(status))
    })
}

#[cfg(test)]
mod tests;
