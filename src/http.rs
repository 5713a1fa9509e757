//! The whole API on one screen: what it needs, its routes, their verbs, what surrounds them.

pub mod audit;
mod body;
pub mod boundary;
mod conditional;
pub mod dto;
pub mod encoding;
mod exchange;
mod export_body;
mod guard;
pub mod list;
mod login;
pub mod management;
pub mod problem;
pub mod request_id;
mod short;

use std::sync::Arc;

use actix_web::http::{Method as Verb, header};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
use arc_swap::ArcSwap;

use crate::auth::Authenticator;
use crate::domain::access::Matrix;
use crate::domain::clock::SharedClock;
use crate::store::Store;
use audit::AuditLog;
use management::Lifecycle;
use problem::{Kind, Problem};

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
}

/// The paths of the API's listener, each with its verbs. Paths are compared with case and without a trailing slash;
/// `/v1/Logins` stands before the form of SetLogin without a slash, so that it is never taken for a CVR number `s`.
pub fn api(config: &mut web::ServiceConfig) {
    config
        .service(path("/v1/Login", "GET, HEAD, OPTIONS", [read().to(login::get_login)]))
        .service(path("/v1/Logins", "GET, HEAD, OPTIONS", [read().to(login::get_logins)]))
        .service(path("/v1/Login/{CvrNummer}", "PUT, OPTIONS", [web::put().to(login::set_login)]))
        .service(path("/v1/Login{CvrNummer}", "PUT, OPTIONS", [web::put().to(login::set_login)]))
        .default_service(web::to(unknown_path));
}

/// The paths of the management listener.
pub fn management(config: &mut web::ServiceConfig) {
    config
        .service(path("/livez", "GET, HEAD, OPTIONS", [read().to(management::livez)]))
        .service(path("/readyz", "GET, HEAD, OPTIONS", [read().to(management::readyz)]))
        .service(path("/export", "GET, HEAD, OPTIONS", [read().to(management::export)]))
        .default_service(web::to(unknown_path));
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
    if request.method() == Verb::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
    }
    Err(Problem::new(Kind::VerbNotAllowed)
        .with_header(header::ALLOW, header::HeaderValue::from_static(allow)))
}

async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Kind::PathUnknown))
}
