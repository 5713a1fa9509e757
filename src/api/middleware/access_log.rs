//! One log line a request, and its part in the metrics of the API's listener.
//!
//! A call that has its audit line and is no error is logged at debug only, and costs nothing at another level.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method as Verb;
use log::Level;

use super::parse_errors::TARGET;
use super::request_context::RequestContext;
use crate::api::list;
use crate::audit::MAX_CLAIM;
use crate::domain::access::Method;
use crate::escape;

/// Longest path that is logged; a longer one may be anything.
const PATH_LENGTH: usize = 64;
/// Longest verb that is logged; HTTP's own are shorter.
const VERB_LENGTH: usize = 16;
/// Longest cause that is logged, in characters. It may quote a database, or a panic.
const CAUSE_LENGTH: usize = 1024;

pub(super) fn log(context: &RequestContext, response: &ServiceResponse) {
    let took = context.started.elapsed();
    let record = context.record.borrow();
    let status = response.status();
    if let Some(api) = &context.api {
        let caller = record.caller.as_deref();
        api.metrics.requests.count(record.method, status, record.code, caller, took);
    }
    let level = match record.is_audited {
        _ if status.is_server_error() => Level::Error,
        true if !status.is_client_error() => Level::Debug,
        _ => Level::Info,
    };
    if !record.is_summed_up && log::log_enabled!(target: TARGET, level) {
        write_line(level, context, response.request(), status.as_u16(), took);
    }
    if record.method != Some(Method::GetLogins) {
        list::count_response();
    }
}

fn write_line(level: Level, context: &RequestContext, request: &HttpRequest, status: u16, took: Duration) {
    let record = context.record.borrow();
    let caller = record.caller.as_deref();
    let shown = |text: Option<&str>, length| escape::shortened(text.unwrap_or("-"), length).into_owned();
    let organisation_type = shown(caller.and_then(|caller| caller.organisation_type.as_deref()), MAX_CLAIM);
    let organisation_code = shown(caller.and_then(|caller| caller.organisation_code.as_deref()), MAX_CLAIM);
    let cause = shown(record.cause.as_deref(), CAUSE_LENGTH);
    let milliseconds = (took.as_secs_f64() * 1e6).round() / 1e3;
    log::log!(
        target: TARGET, level,
        requestId = context.request_id.as_str(), traceId = context.trace.id(),
        method = record.method.map_or("-", |method| method.name()), status = status,
        fejlkode = record.code.unwrap_or("-"), milliseconds = milliseconds,
        organisationType = &*organisation_type, organisationCode = &*organisation_code,
        remote:% = context.remote, decision = record.reason.as_deref().unwrap_or("-"), cause = &*cause;
        "{} {}", loggable_verb(request.method()), loggable_path(request.path())
    );
}

/// The path for the log. It comes from outside and may carry anything, a token put in the wrong place included, so
/// only what is short, of the letters of our own paths, and does not look like one is kept.
fn loggable_path(path: &str) -> &str {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    if path.len() > PATH_LENGTH || path.contains("eyJ") {
        "(long)"
    } else if path.bytes().all(is_ours) {
        path
    } else {
        "(other)"
    }
}

/// The verb for the log. HTTP lets a client make up its own, of any length.
fn loggable_verb(verb: &Verb) -> &str {
    let text = verb.as_str();
    let is_usual = text.len() <= VERB_LENGTH && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_usual { text } else { "(other)" }
}

#[cfg(test)]
mod tests;
