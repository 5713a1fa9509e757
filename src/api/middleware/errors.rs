//! Every error as the contract's problem: a handler's, the framework's own, and panics.

use std::panic::AssertUnwindSafe;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::test::TestRequest;
use actix_web::{Error, HttpResponse};
use futures_util::FutureExt;

use super::request_context::RequestContext;
use crate::api::problem::{Kind, Problem};

/// Marks an error answer whose body is meant as it is: a health check names what is missing, to operators only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassThroughError;

pub(super) async fn render(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let context = RequestContext::of(request.request());
    let answer = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            return Ok(match problem_of(response.response()) {
                Some(problem) => {
                    let answer = context.render(&problem);
                    response.into_response(answer)
                }
                None => response,
            });
        }
        Ok(Err(error)) => {
            let answer = error.error_response();
            problem_of(&answer).map_or(answer, |problem| context.render(&problem))
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            context.note(|record| record.cause = Some(format!("a handler panicked: {text}")));
            context.render(&Problem::new(Kind::Internal))
        }
    };
    // The request is lost with the handler, and an answer needs one: nothing further out reads it.
    Ok(ServiceResponse::new(TestRequest::default().to_http_request(), answer))
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
