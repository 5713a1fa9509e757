//! The whole API on one screen: what it needs, its routes, their verbs, what surrounds them.

pub mod audit;
mod body;
pub mod boundary;
pub mod clock;
mod conditional;
pub mod connection;
pub mod declaration;
pub mod docs;
pub mod dto;
pub mod encoding;
pub mod example;
mod exchange;
mod export_body;
mod guard;
pub mod host;
mod incoming_body;
pub mod list;
mod login;
pub mod management;
pub mod metrics;
pub mod output;
pub mod peer;
pub mod problem;
pub mod rate;
mod refusal;
pub mod refused;
pub mod request_id;
mod requests;
mod short;
pub mod trace;
pub mod unread;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method as HttpVerb, header};
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route, web};
use arc_swap::ArcSwap;

use crate::auth::Authenticator;
use crate::domain::access::Matrix;
use crate::domain::clock::SharedClock;
use crate::store::Store;
use audit::AuditLog;
use declaration::{Declaration, GET_LOGIN, GET_LOGINS, SET_LOGIN, Verb};
use management::Lifecycle;
use metrics::Metrics;
use problem::{Kind, Problem};
use rate::RateLimit;
use refused::RefusedCalls;

/// What the API is served from.
pub struct Api {
    /// Tells who calls.
    pub authenticator: Arc<Authenticator>,
    /// Tells whether they may.
    pub matrix: Arc<ArcSwap<Matrix>>,
    /// The register.
    pub store: Arc<Store>,
    /// Where every call to a method is written down.
    pub audit: Arc<AuditLog>,
    /// The service's time.
    pub clock: SharedClock,
    /// Whether the service is on its way down.
    pub lifecycle: Arc<Lifecycle>,
    /// What is counted of the calls.
    pub metrics: Arc<Metrics>,
    /// How many calls one client may make, when that is limited.
    pub rate: Option<RateLimit>,
    /// How many calls without a good token are answered and written down one by one.
    pub refused: RefusedCalls,
    /// The documentation, as it was rendered last.
    pub documentation: docs::Cache,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
}

/// Most items that are read of a list in a request: query parameters, codings, languages. No honest
/// request has as many, so that what the others cost is bounded.
const MAX_ITEMS: usize = 64;

/// The verbs of a path that is only read.
const READ: &str = Verb::Get.allow();
/// The verbs that any path of the API's listener takes, for `OPTIONS *`.
const ANY: &str = "GET, HEAD, PUT, OPTIONS";

/// The methods on the API's listener. Paths are compared with case and without a trailing slash; `/v1/Logins` stands
/// before the form of SetLogin without a slash, so that it is never taken for a CVR number `s`.
pub fn api(config: &mut web::ServiceConfig) {
    method(config, &GET_LOGIN, login::get_login);
    method(config, &GET_LOGINS, login::get_logins);
    method(config, &SET_LOGIN, login::set_login);
    config.default_service(no_path(ANY));
}

/// The documentation on the API's listener, behind the methods, which are looked for first.
pub fn documentation(config: &mut web::ServiceConfig) {
    config
        .service(path("/", READ, [read().to(docs::page)]))
        .service(path("/openapi.json", READ, [read().to(docs::openapi)]))
        .service(path("/swagger", READ, [read().to(docs::to_swagger)]))
        .service(path("/swagger/{file:.*}", READ, [read().to(docs::swagger)]))
        .service(path("/assets/{file}", READ, [read().to(docs::asset)]));
}

/// The paths of the management listener.
pub fn management(config: &mut web::ServiceConfig) {
    let paths = web::scope("")
        .wrap(from_fn(management::refuse_web_pages))
        .service(path("/livez", READ, [read().to(management::livez)]))
        .service(path("/readyz", READ, [read().to(management::readyz)]))
        .service(path("/metrics", READ, [read().to(metrics::scrape)]))
        .service(path(management::EXPORT, READ, [read().to(management::export)]))
        .default_service(no_path(READ));
    // `OPTIONS *` is below no scope.
    config.service(paths).default_service(no_path(READ));
}

/// A method at its path and at the other forms of it.
fn method<F, Args>(config: &mut web::ServiceConfig, declaration: &'static Declaration, handler: F)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for pattern in [declaration.path].into_iter().chain(declaration.also.iter().copied()) {
        let route = match declaration.verb {
            Verb::Get => read(),
            Verb::Put => web::put(),
        };
        config.service(path(pattern, declaration.verb.allow(), [route.to(handler.clone())]));
    }
}

/// A path with its verbs; any other verb is a 405 that names them.
fn path<const N: usize>(pattern: &'static str, allow: &'static str, routes: [Route; N]) -> Resource {
    let resource = routes.into_iter().fold(web::resource(pattern), Resource::route);
    resource.default_service(web::to(move |request: HttpRequest| async move { other_verb(&request, allow) }))
}

/// GET, and HEAD answered as GET without a body.
fn read() -> Route {
    use actix_web::guard::{Any, Get, Head};
    web::route().guard(Any(Get()).or(Head()))
}

fn other_verb(request: &HttpRequest, allow: &'static str) -> Result<HttpResponse, Problem> {
    if request.method() == HttpVerb::OPTIONS {
        return Ok(verbs(allow));
    }
    Err(Problem::new(Kind::VerbNotAllowed)
        .with_header(header::ALLOW, header::HeaderValue::from_static(allow)))
}

/// The answer to OPTIONS.
fn verbs(allow: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish()
}

/// What is no path: `OPTIONS *`, which asks after the listener as a whole (RFC 9110 §9.3.7), or a 404.
fn no_path(allow: &'static str) -> Route {
    web::to(move |request: HttpRequest| async move {
        match (request.method(), request.path()) {
            (&HttpVerb::OPTIONS, "*") => Ok(verbs(allow)),
            _ => Err(Problem::new(Kind::PathUnknown)),
        }
    })
}
