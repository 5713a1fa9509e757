//! A path with its verbs: HEAD beside GET, OPTIONS and 405 with `Allow`, 404 for the rest. The routes of every listener
//! are made of these. A handler that panics is a 500.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::{Method as HttpVerb, header};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

use super::middleware::errors::catch_panic;
use super::problem::{Kind, Problem};
use super::spec::Verb;

/// The verbs of a path that is only read.
pub(crate) const READ: &str = Verb::Get.allow();

/// A path with its verbs; any other verb is a 405 that names them.
pub(crate) fn path<const N: usize>(
    pattern: &'static str,
    allow: &'static str,
    routes: [Route; N],
) -> impl HttpServiceFactory {
    let resource = routes.into_iter().fold(web::resource(pattern), Resource::route);
    resource
        .default_service(web::to(move |request: HttpRequest| async move { other_verb(&request, allow) }))
        .wrap(from_fn(catch_panic))
}

/// GET, and HEAD answered as GET without a body.
pub(crate) fn read() -> Route {
    use actix_web::guard::{Any, Get, Head};
    web::route().guard(Any(Get()).or(Head()))
}

/// What is no path: `OPTIONS *`, which asks after the listener as a whole (RFC 9110 §9.3.7), or a 404.
pub(crate) fn no_path(allow: &'static str) -> Route {
    web::to(move |request: HttpRequest| async move {
        match (request.method(), request.path()) {
            (&HttpVerb::OPTIONS, "*") => Ok(verbs(allow)),
            _ => Err(Problem::new(Kind::PathUnknown)),
        }
    })
}

fn other_verb(request: &HttpRequest, allow: &'static str) -> Result<HttpResponse, Problem> {
    if request.method() == HttpVerb::OPTIONS {
        return Ok(verbs(allow));
    }
    let allow = header::HeaderValue::from_static(allow);
    Err(Problem::new(Kind::VerbNotAllowed).with_header(header::ALLOW, allow))
}

/// The answer to OPTIONS.
fn verbs(allow: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish()
}
